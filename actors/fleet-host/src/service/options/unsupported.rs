//! What systemd knows and this host does not do, each with its reason; and what nobody knows.

/// A reason, and the options that it holds for. `docs/units.md` shows them.
struct Group {
    why: &'static str,
    names: &'static str,
}

const GROUPS: &[Group] = &[
    Group {
        why: "this host has neither the notification socket of systemd nor a message bus, and hands no sockets over; use Type=exec or Type=forking",
        names: "NotifyAccess WatchdogSec WatchdogSignal TimeoutAbortSec BusName Sockets NonBlocking OpenFile \
                FileDescriptorStoreMax FileDescriptorStorePreserve ReloadSignal USBFunctionDescriptors USBFunctionStrings",
    },
    Group {
        why: "this host puts no unit into a sandbox, and running it without the protection that it asks for would be worse than not running it; leave it out, or run the program in a container",
        names: "AppArmorProfile BindLogSockets BindPaths BindReadOnlyPaths CapabilityBoundingSet AmbientCapabilities DevicePolicy DeviceAllow \
                DynamicUser ExecPaths NoExecPaths ExecSearchPath ExtensionDirectories ExtensionImages ImagePolicy InaccessiblePaths \
                InaccessibleDirectories IPAddressAllow IPAddressDeny IPCNamespacePath KeyringMode LockPersonality MemoryDenyWriteExecute MountAPIVFS \
                MountFlags MountImages NetworkNamespacePath NoNewPrivileges PAMName PrivateDevices PrivateIPC PrivateMounts PrivateNetwork \
                PrivatePIDs PrivateTmp PrivateUsers ProcSubset ProtectClock ProtectControlGroups ProtectHome ProtectHostname \
                ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectProc ProtectSystem ReadOnlyPaths ReadOnlyDirectories ReadWritePaths \
                ReadWriteDirectories RemoveIPC RestrictAddressFamilies RestrictFileSystems RestrictNamespaces RestrictNetworkInterfaces RestrictRealtime \
                RestrictSUIDSGID RootDirectory RootEphemeral RootHash RootHashSignature RootImage RootImageOptions RootVerity SecureBits \
                SELinuxContext SmackProcessLabel SystemCallArchitectures SystemCallErrorNumber SystemCallFilter SystemCallLog TemporaryFileSystem Personality \
                RootDirectoryStartOnly PermissionsStartOnly SocketBindAllow SocketBindDeny BPFProgram IPEgressFilterPath IPIngressFilterPath NFTSet",
    },
    Group {
        why: "this host limits memory, processor and tasks only; use MemoryMax=, CPUQuota= and TasksMax=",
        names: "AllowedCPUs AllowedMemoryNodes StartupAllowedCPUs StartupAllowedMemoryNodes BlockIOAccounting BlockIODeviceWeight \
                BlockIOReadBandwidth BlockIOWeight BlockIOWriteBandwidth CPUQuotaPeriodSec CPUShares CPUWeight StartupCPUShares StartupCPUWeight \
                DefaultMemoryLow DefaultMemoryMin Delegate DelegateSubgroup DisableControllers IOAccounting IODeviceLatencyTargetSec IODeviceWeight \
                IOReadBandwidthMax IOReadIOPSMax IOWeight IOWriteBandwidthMax IOWriteIOPSMax StartupIOWeight IPAccounting ManagedOOMMemoryPressure \
                ManagedOOMMemoryPressureLimit ManagedOOMPreference ManagedOOMSwap MemoryHigh MemoryLow MemoryMin MemorySwapMax MemoryZSwapMax \
                MemoryPressureThresholdSec MemoryPressureWatch MemoryKSM OOMPolicy Slice",
    },
    Group {
        why: "this host leaves scheduling to the kernel; use Nice=",
        names: "CPUAffinity CPUSchedulingPolicy CPUSchedulingPriority CPUSchedulingResetOnFork IOSchedulingClass IOSchedulingPriority \
                NUMAMask NUMAPolicy TimerSlackNSec CoredumpFilter CoredumpReceive",
    },
    Group {
        why: "what a unit prints goes to its own log, bounded by the host, and it has neither a terminal nor an input",
        names: "LogExtraFields LogFilterPatterns LogLevelMax LogNamespace LogRateLimitBurst LogRateLimitIntervalSec StandardInputData \
                StandardInputText TTYColumns TTYPath TTYReset TTYRows TTYVHangup TTYVTDisallocate UtmpIdentifier UtmpMode",
    },
    Group {
        why: "this host makes no directories for a unit and hands it no secrets; make them before, and use EnvironmentFile=",
        names: "CacheDirectory CacheDirectoryMode ConfigurationDirectory ConfigurationDirectoryMode LogsDirectory LogsDirectoryMode RuntimeDirectory \
                RuntimeDirectoryMode RuntimeDirectoryPreserve StateDirectory StateDirectoryMode TimeoutCleanSec ImportCredential LoadCredential \
                LoadCredentialEncrypted SetCredential SetCredentialEncrypted",
    },
    Group {
        why: "a unit gets the environment that its file gives it and nothing of the node's; use Environment=",
        names: "PassEnvironment UnsetEnvironment SetLoginEnvironment",
    },
    Group {
        why: "this host does not do it",
        names: "ExecCondition ExitType RestartKillSignal RestartMaxDelaySec RestartMode RestartSteps RuntimeRandomizedExtraSec SurviveFinalKillSignal \
                TimeoutStartFailureMode TimeoutStopFailureMode",
    },
    Group {
        why: "units of this host depend on one another by Requires=, BindsTo=, Wants=, After= and Before= only",
        names: "Requisite RequiresOverridable RequisiteOverridable PartOf Upholds Conflicts JoinsNamespaceOf PropagatesReloadTo ReloadPropagatedFrom \
                PropagatesStopTo StopPropagatedFrom RequiresMountsFor WantsMountsFor StopWhenUnneeded OnFailure OnFailureJobMode OnFailureIsolate \
                OnSuccess OnSuccessJobMode RefuseManualStart RefuseManualStop JobTimeoutSec JobRunningTimeoutSec JobTimeoutAction \
                JobTimeoutRebootArgument DefaultDependencies AllowIsolate IgnoreOnIsolate CollectMode",
    },
    Group {
        why: "a unit has no say over the machine",
        names: "FailureAction FailureActionExitStatus SuccessAction SuccessActionExitStatus StartLimitAction RebootArgument",
    },
];

/// Every name that systemd has and this host refuses, conditions aside.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(|group| group.names.split_whitespace())
}

/// Why an option is refused; `supported` are the names that are read where it stands.
pub(super) fn why(name: &str, supported: impl Iterator<Item = &'static str>) -> String {
    if name.starts_with("Condition") || name.starts_with("Assert") {
        return "this host checks no conditions: a unit is started when it is launched".into();
    }
    let group = GROUPS.iter().find(|group| group.names.split_whitespace().any(|one| one == name));
    if let Some(group) = group {
        return format!("this host does not support it: {}", group.why);
    }
    let mut near: Vec<(usize, &str)> = supported
        .chain(names())
        .map(|other| {
            let lower = (name.to_ascii_lowercase(), other.to_ascii_lowercase());
            (strsim::osa_distance(&lower.0, &lower.1), other)
        })
        .filter(|(distance, other)| *distance <= (other.len() / 4).clamp(1, 3))
        .collect();
    near.sort_unstable();
    let near: Vec<String> = near.iter().take(3).map(|(_, other)| format!("`{other}`")).collect();
    match near.as_slice() {
        [] => "neither systemd nor this host knows an option of this name here".into(),
        near => format!("there is no option of this name; did you mean {}?", near.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::refused;

    #[test]
    fn an_option_that_systemd_knows_is_refused_with_the_reason() {
        for (name, words) in [
            ("WatchdogSec", "notification socket"),
            ("ProtectSystem", "sandbox"),
            ("CPUWeight", "CPUQuota="),
            ("StateDirectory", "directories"),
            ("ExecCondition", "does not"),
        ] {
            assert!(refused(name, "x").contains(words), "{name}");
        }
    }

    #[test]
    fn a_typing_error_is_answered_with_the_name_that_is_near() {
        for (name, meant) in [
            ("ExecStrat", "`ExecStart`"),
            ("execstart", "`ExecStart`"),
            ("Enviroment", "`Environment`"),
            ("TimeoutStopsec", "`TimeoutStopSec`"),
            ("LimitNOFILES", "`LimitNOFILE`"),
            ("PrivateTemp", "`PrivateTmp`"),
        ] {
            assert!(refused(name, "x").contains(meant), "{name}: {}", refused(name, "x"));
        }
        assert!(refused("Nonsense", "x").contains("neither"));
    }
}
