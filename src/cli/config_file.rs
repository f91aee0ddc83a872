//! `--config FILE`: every option of `serve` can also stand in a TOML file, under its long name.
//!
//! The file becomes options on the command line, so both go through the same checks and the same
//! messages. What the command line says wins.

use super::Failure;
use clap::{ArgAction, Command};
use std::ffi::OsString;

/// The arguments with those of the file that `serve --config FILE` names put in. `root` is the command line
/// that they are for.
pub fn merge(args: Vec<OsString>, root: &Command) -> Result<Vec<OsString>, Failure> {
    let texts: Vec<&str> = args.iter().map(|arg| arg.to_str().unwrap_or_default()).collect();
    if texts.get(1) != Some(&"serve") {
        return Ok(args);
    }
    let Some(file) = value_of(&texts, "config") else { return Ok(args) };
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::usage(format!("--config {file}: {error}")))?;
    let from_file =
        options(&text, &texts, root).map_err(|why| Failure::usage(format!("--config {file}: {why}")))?;
    Ok(args.iter().take(2).cloned().chain(from_file).chain(args.iter().skip(2).cloned()).collect())
}

/// The value of `--name VALUE` or `--name=VALUE`.
fn value_of<'a>(args: &[&'a str], name: &str) -> Option<&'a str> {
    args.iter().enumerate().find_map(|(at, arg)| match arg.strip_prefix("--")?.strip_prefix(name)? {
        "" => args.get(at + 1).copied(),
        rest => rest.strip_prefix('='),
    })
}

fn options(text: &str, args: &[&str], root: &Command) -> Result<Vec<OsString>, String> {
    let action = |name: &str| {
        let serve = root.find_subcommand("serve")?;
        serve.get_arguments().find(|arg| arg.get_long() == Some(name)).map(clap::Arg::get_action)
    };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let mut options = Vec::new();
    for (name, value) in table {
        let given = args.iter().any(|arg| {
            arg.strip_prefix("--").is_some_and(|arg| arg.split('=').next() == Some(name.as_str()))
        });
        if name == "config" {
            return Err("config: a file cannot name another".into());
        }
        // What is no option at all is left to clap, which knows what was meant perhaps.
        let takes_value = action(&name).is_some_and(ArgAction::takes_values);
        let repeats = action(&name).is_none_or(|action| matches!(action, ArgAction::Append));
        let from_file: Vec<OsString> = match value {
            toml::Value::Boolean(_) if takes_value => {
                return Err(format!("{name}: it is no switch; true and false are not allowed here"));
            }
            toml::Value::Array(values) if !repeats || values.is_empty() => {
                return Err(format!("{name}: a list of {} is not allowed here", values.len()));
            }
            toml::Value::Boolean(false) if action(&name).is_none() => {
                return Err(format!("{name}: there is no such option"));
            }
            toml::Value::Boolean(true) => vec![format!("--{name}").into()],
            toml::Value::Boolean(false) => vec![],
            toml::Value::Array(values) => {
                values.iter().map(|value| option(&name, value)).collect::<Result<_, _>>()?
            }
            value => vec![option(&name, &value)?],
        };
        // What is written there has to be right even where the command line wins.
        if !given {
            options.extend(from_file);
        }
    }
    Ok(options)
}

/// `--name=value`.
fn option(name: &str, value: &toml::Value) -> Result<OsString, String> {
    match value {
        toml::Value::String(text) => Ok(format!("--{name}={text}").into()),
        toml::Value::Integer(number) => Ok(format!("--{name}={number}").into()),
        other => {
            Err(format!("{name}: a {} is not allowed here; write text or a whole number", other.type_str()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn options(text: &str, args: &[&str]) -> Result<Vec<OsString>, String> {
        super::options(text, args, &crate::cli::Cli::command())
    }

    #[test]
    fn the_command_line_wins_and_lists_repeat_an_option() {
        let file = "workers = 2\nlisten = [\"127.0.0.1:1\", \"[::1]:1\"]\njson = true\nidle = \"90s\"\n";
        let options = options(file, &["redpkt", "serve", "--workers=1", "--config", "x"]).unwrap();
        let expected = ["--idle=90s", "--json", "--listen=127.0.0.1:1", "--listen=[::1]:1"];
        let mut sorted = options;
        sorted.sort();
        assert_eq!(sorted, expected);
    }

    #[test]
    fn what_is_no_option_is_named() {
        assert!(options("workers = 1.5", &[]).unwrap_err().contains("workers: a float"));
        assert!(options("[workers]", &[]).unwrap_err().contains("workers: a table"));
        assert!(options("workers =", &[]).is_err());
    }

    #[test]
    fn a_switch_is_true_or_false_and_nothing_else_is() {
        assert_eq!(options("json = false", &[]), Ok(vec![]));
        assert_eq!(options("json = true", &[]), Ok(vec!["--json".into()]));
        for text in ["http = false", "workers = true", "mint = false", "listen = false", "nonsense = false"] {
            let name = text.split(' ').next().unwrap();
            assert!(options(text, &[]).unwrap_err().starts_with(&format!("{name}: ")), "{text}");
            let given = format!("--{name}");
            assert!(options(text, &["redpkt", "serve", &given]).is_err(), "{text}, and given");
        }
    }

    #[test]
    fn only_what_may_be_given_several_times_is_a_list() {
        assert_eq!(options("listen = [\"[::1]:1\"]", &[]), Ok(vec!["--listen=[::1]:1".into()]));
        assert!(options("workers = [1, 2]", &[]).unwrap_err().starts_with("workers: "));
        assert!(options("json = [true]", &[]).unwrap_err().starts_with("json: "));
        assert!(options("listen = []", &[]).unwrap_err().starts_with("listen: "));
    }
}
