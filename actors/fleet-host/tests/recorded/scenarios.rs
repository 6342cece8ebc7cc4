//! Which recordings are sent again, in which order, to which of the machines.

use crate::play::play;

/// Which of the recorded machines the host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// None: where the recording names a machine, this one is meant.
    Anywhere,
    /// Machine 1: us-east, ssd.
    One,
    /// Machine 2: us-east, hdd.
    Two,
    /// Machine 3: us-west, ssd.
    Three,
}

impl Place {
    /// Where it stands in a list of the machines, which is sorted by id.
    pub(crate) fn index(self) -> Option<usize> {
        match self {
            Self::Anywhere => None,
            Self::One => Some(0),
            Self::Two => Some(2),
            Self::Three => Some(1),
        }
    }
}

pub(crate) enum Step {
    /// Sent, and answered as recorded at once.
    Once(&'static [u16]),
    /// Sent until it is answered as recorded: what the cluster comes to by itself.
    Soon(&'static [u16]),
    /// Until a unit is in this state.
    Reaches(&'static str, &'static str, &'static str),
    /// Makes the units that this answer shows, as far as they are not there yet.
    Make(u16),
    /// Makes an inactive unit with the options of the first one that this answer lists.
    MakeLike(&'static str, u16),
    /// Makes units with the states that the first answer lists and the options of the second's first unit.
    MakeStates(u16, u16),
    /// Stops the keeper of a unit, or lets it go on.
    Freeze(&'static str),
    Thaw(&'static str),
}

pub(crate) struct Scenario {
    pub(crate) place: Place,
    pub(crate) steps: &'static [Step],
}

impl Scenario {
    /// Numbers of the recordings that are compared.
    pub(crate) fn played(&self) -> impl Iterator<Item = u16> {
        let numbers = self.steps.iter().filter_map(|step| match step {
            Step::Once(numbers) | Step::Soon(numbers) => Some(numbers.iter().copied()),
            _ => None,
        });
        numbers.flatten()
    }
}

/// A test for each scenario, and the list of them.
macro_rules! scenarios {
    ($($name:ident: $place:ident [$($step:expr),* $(,)?];)*) => {
        mod each {
            use super::Step::{Freeze, Make, MakeLike, MakeStates, Once, Reaches, Soon, Thaw};
            use super::{Place, Scenario};

            $(#[allow(non_upper_case_globals, reason = "named as its test is")]
            pub(super) const $name: Scenario =
                Scenario { place: Place::$place, steps: &[$($step),*] };)*
        }

        pub(crate) const ALL: &[Scenario] = &[$(each::$name),*];

        $(#[tokio::test]
        async fn $name() {
            play(&each::$name).await;
        })*
    };
}

scenarios! {
    paths_methods_and_an_empty_cluster: Anywhere [
        Once(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 19]),
        Once(&[62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 92]),
        Once(&[239, 240, 241, 242, 243, 244, 246, 247, 248, 253]),
    ];
    labels_of_a_machine: One [
        Once(&[14, 15, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32]),
    ];
    units_that_are_refused_and_leave_nothing: Anywhere [
        Once(&[33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53]),
        Once(&[54, 55, 56, 57, 58, 59, 60, 61, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 12]),
    ];
    the_life_of_a_unit: One [
        Once(&[86]),
        Soon(&[88, 90]),
        Once(&[89, 91, 93, 94, 95]),
        Freeze("hello.service"),
        Once(&[96, 97]),
        Thaw("hello.service"),
        Soon(&[98, 99]),
        Once(&[100]),
        Soon(&[101, 102]),
        Once(&[103]),
        Reaches("hello.service", "active", "running"),
        Once(&[104, 105]),
        Soon(&[106]),
        Freeze("hello.service"),
        Once(&[107, 108, 109, 110, 111, 112, 113, 114]),
        Thaw("hello.service"),
        Soon(&[115]),
    ];
    what_is_stored_is_what_was_sent: Anywhere [
        Once(&[116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131]),
    ];
    templates_are_kept_and_never_run: Anywhere [
        Once(&[132, 133, 134, 135, 136, 137, 277, 278, 279, 280, 281]),
    ];
    instances_that_exclude_one_another: One [
        Once(&[133, 138, 141]),
        Soon(&[142, 145]),
        Once(&[143, 144, 148, 149, 150, 151, 152, 153]),
        Soon(&[154]),
    ];
    an_instance_on_the_second_machine: Two [Once(&[140]), Soon(&[146])];
    an_instance_on_the_third_machine: Three [Once(&[139]), Soon(&[147])];
    units_that_fail_or_end: Anywhere [
        Once(&[155, 156, 157, 158, 159, 160, 161, 162, 163, 164, 165, 166]),
        Soon(&[167, 168, 169, 170, 171, 172, 173, 174, 175, 176, 177, 178, 179, 180]),
        Once(&[181, 182, 183, 184, 187, 188]),
        Soon(&[185]),
        Reaches("missingdep.service", "failed", "failed"),
        Once(&[186]),
        Soon(&[189, 190]),
        Once(&[191]),
        Soon(&[192]),
        Once(&[193]),
    ];
    units_for_every_machine: Three [
        Once(&[194, 195]),
        Soon(&[197, 198, 199]),
        Once(&[196, 200, 201]),
    ];
    a_unit_with_two_labels: One [Once(&[204]), Soon(&[214])];
    units_with_one_of_two_labels_and_with_an_id: Two [Once(&[203, 208]), Soon(&[213, 218])];
    units_that_ask_for_labels_and_peers: Three [
        Once(&[202, 203, 204, 205, 206, 207, 208, 209, 210, 211]),
        Soon(&[212, 215, 219, 221]),
        Once(&[216, 217, 220, 222]),
        Reaches("ca.service", "active", "running"),
        Once(&[223, 224, 225]),
        Soon(&[226, 227]),
    ];
    a_unit_that_is_loaded_only: One [Once(&[228]), Soon(&[229, 230])];
    pages_of_units: Anywhere [
        Make(231),
        Once(&[231]),
        Make(232),
        Once(&[232, 233]),
        Make(234),
        Make(235),
        Once(&[234, 235, 236, 237, 238, 245]),
    ];
    pages_of_states: Anywhere [
        MakeStates(249, 231),
        MakeStates(250, 231),
        Soon(&[249, 250]),
    ];
    pages_of_the_states_of_one_machine: One [MakeStates(251, 231), Soon(&[251]), Once(&[252])];
    states_that_do_not_exist: Anywhere [
        Make(256),
        MakeLike("poison.service", 256),
        Once(&[254, 255, 256, 257, 258]),
    ];
    what_is_left_after_the_loss_of_a_machine: One [
        Make(261),
        Make(262),
        Soon(&[261]),
        Once(&[262]),
        Soon(&[263]),
        Once(&[260]),
    ];
    what_a_machine_runs_before_it_is_lost_and_when_it_is_back: Three [
        Make(262),
        Soon(&[265, 266]),
        Once(&[264, 276]),
        Make(261),
        Soon(&[259]),
    ];
    a_unit_beside_a_template_that_was_launched: One [
        Make(282),
        Soon(&[284]),
        Once(&[282, 283]),
    ];
}
