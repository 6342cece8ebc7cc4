//! `oa-test-services -- <command …>`: starts the services, runs the command, ends the services.
//!
//! The exit status is the command's. Whatever happens, exactly the processes started here are ended.

use std::ffi::OsString;
use std::process::ExitCode;

use oa_test_services::packages;
use oa_test_services::service::ServiceError;
use oa_test_services::sshd::SshServer;

fn main() -> ExitCode {
    let command: Vec<OsString> =
        std::env::args_os().skip(1).skip_while(|word| word == "--").collect();
    match run(&command) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("oa-test-services: {why}");
            let mut cause = std::error::Error::source(&why);
            while let Some(inner) = cause {
                eprintln!("  because: {inner}");
                cause = inner.source();
            }
            ExitCode::from(2)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(command: &[OsString]) -> Result<ExitCode, ServiceError> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(ServiceError::Usage);
    };
    packages::ensure(packages::NEEDED)?;
    let ssh = SshServer::start().await?;
    let status = tokio::process::Command::new(program)
        .args(arguments)
        .envs(ssh.environment())
        .status()
        .await
        .map_err(|cause| ServiceError::Command {
            program: program.to_string_lossy().into_owned(),
            cause,
        });
    ssh.stop().await;
    let code = status?.code().unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
