//! Why a step of the Builder failed, for people.

use oa_fleet::unit_file::UnitFileError;
use oa_protocol::step::StepFailure;
use oa_protocol::{FailureCode, InvalidName};

use crate::git::{GitError, GitSetupError};
use crate::template::TemplateError;

/// Why `config` gave no units.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A field of the workflow cannot be used.
    #[error("{field}: {cause}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        cause: InvalidName,
    },
    /// There is no git that can be used.
    #[error(transparent)]
    GitSetup(#[from] GitSetupError),
    /// Git did not do something.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file that must be there is not.
    #[error("the deployment repository has no {file}; {why}")]
    MissingFile {
        /// Its name.
        file: &'static str,
        /// Who needs it.
        why: &'static str,
    },
    /// An entry of the repository is not a file that may be read.
    #[error("{file}: {why}")]
    File {
        /// Its name.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file is not JSON, or holds something else than it should.
    #[error("{file}, line {line}, column {column}: {why}")]
    Json {
        /// The file.
        file: &'static str,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong.
        why: String,
    },
    /// A template holds something else than declared names.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A unit file cannot be read.
    #[error(transparent)]
    UnitFile(#[from] UnitFileError),
    /// The directory of the attempt could not be made.
    #[error("failed to make a directory below {path}: {cause}")]
    Workspace {
        /// `work_dir`.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The branch moved, and with it what is rendered.
    #[error(
        "{files} in {repository} changed while this was rendered; nothing was pushed, the step begins again with what is \
         there now"
    )]
    InputsMoved {
        /// Where.
        repository: String,
        /// What changed.
        files: String,
    },
    /// The job ended without a result.
    #[error("the job of this step crashed; the log of the node says where")]
    Crashed,
}

impl BuildError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Git(cause) => cause.is_retryable(),
            Self::GitSetup(_)
            | Self::Workspace { .. }
            | Self::InputsMoved { .. }
            | Self::Crashed => true,
            Self::Field { .. }
            | Self::MissingFile { .. }
            | Self::File { .. }
            | Self::Json { .. }
            | Self::Template(_)
            | Self::UnitFile(_) => false,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Git(cause) => return cause.hint().map(str::to_owned),
            Self::GitSetup(_) => "install git where the Builder runs, or set `builder.git_program`",
            Self::Field { .. } => "correct the workflow and submit it again",
            Self::MissingFile { .. }
            | Self::File { .. }
            | Self::Json { .. }
            | Self::UnitFile(_) => "correct the deployment repository, push, and deploy again",
            Self::Template(_) => {
                "templates are filled in, never executed; correct the template and push"
            }
            Self::Workspace { .. } => "check `builder.work_dir`, its owner and the free space",
            Self::InputsMoved { .. } | Self::Crashed => return None,
        };
        Some(hint.to_owned())
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Git(cause) => cause.code(),
            Self::GitSetup(_) => FailureCode::GitUnusable,
            Self::MissingFile { .. } => FailureCode::FileMissing,
            Self::Field { .. } | Self::File { .. } | Self::Json { .. } | Self::UnitFile(_) => {
                FailureCode::FileInvalid
            }
            Self::Template(_) => FailureCode::TemplateRefused,
            _ => FailureCode::WorkerFailed,
        }
    }

    /// What the workflow is told.
    #[must_use]
    pub fn to_failure(&self) -> StepFailure {
        StepFailure {
            message: self.chain(),
            hint: self.hint(),
            retryable: self.is_retryable(),
            code: self.code(),
        }
    }

    /// The text with the causes that it does not tell itself.
    fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(next) = cause {
            let more = next.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            cause = next.source();
        }
        text
    }
}
