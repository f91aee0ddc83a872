//! All that the command can do, by name.

use redpkt::cli::Failure;

/// One thing that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// So many times the knee.
    Times {
        /// How many.
        times: u32,
        /// Whether clients obey.
        obeys: bool,
    },
    /// Very many who begin to join, beside users who are there.
    Joins,
    /// One user who shakes a thousand times too often.
    OneUser,
    /// A SET that panics.
    SetKilled,
    /// A group whose disk is full.
    DiskFailed,
    /// Very many packets at one instant, while shakes jump tenfold within a second.
    Wave,
    /// So many times the knee for a server without any protection.
    Echo {
        /// How many.
        times: u32,
    },
    /// What a refusal costs beside an answer.
    RefusalCost,
}

impl Part {
    /// All of them, in the order in which they are shown.
    pub fn all(times: &[u32]) -> Vec<Part> {
        let loads = |obeys| times.iter().map(move |&times| Part::Times { times, obeys });
        let rest = [Part::Joins, Part::OneUser, Part::SetKilled, Part::DiskFailed, Part::Wave];
        let echoes = times.iter().map(|&times| Part::Echo { times });
        loads(false).chain(loads(true)).chain(rest).chain(echoes).chain([Part::RefusalCost]).collect()
    }

    /// Those that `--only` names, by their own name or their group's; an empty list is all.
    pub fn only(times: &[u32], names: &[String]) -> Result<Vec<Part>, Failure> {
        let all = Part::all(times);
        let is_named = |part: &Part, name: &String| part.name() == *name || part.group() == name;
        if let Some(name) = names.iter().find(|name| !all.iter().any(|part| is_named(part, name))) {
            let known: Vec<String> = all.iter().map(Part::name).collect();
            return Err(Failure::usage(format!(
                "--only {name}: there are {}; and times and echo for all of these",
                known.join(", ")
            )));
        }
        let is_wished = |part: &Part| names.is_empty() || names.iter().any(|name| is_named(part, name));
        Ok(all.into_iter().filter(is_wished).collect())
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Part::Times { times, obeys: false } => format!("{times}x-disobedient"),
            Part::Times { times, obeys: true } => format!("{times}x-obedient"),
            Part::Echo { times } => format!("{times}x-echo"),
            other => other.group().to_owned(),
        }
    }

    /// What it is drawn with, and named together by.
    pub fn group(&self) -> &'static str {
        match self {
            Part::Times { .. } => "times",
            Part::Joins => "joins",
            Part::OneUser => "one-user",
            Part::SetKilled => "set-killed",
            Part::DiskFailed => "disk-failed",
            Part::Wave => "wave",
            Part::Echo { .. } => "echo",
            Part::RefusalCost => "refusal-cost",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> Result<Vec<String>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let parts = Part::only(&[1, 4], &names).map_err(|error| error.to_string())?;
        Ok(parts.iter().map(Part::name).collect())
    }

    /// Expect: all without a name, groups and single ones by name, in the table's order; what is not there is refused
    /// with all that is.
    #[test]
    fn parts_are_found_by_name_and_by_group() {
        assert_eq!(only(&[]).unwrap().len(), 4 + 5 + 2 + 1);
        assert_eq!(only(&["wave", "4x-obedient"]).unwrap(), ["4x-obedient", "wave"]);
        assert_eq!(only(&["echo"]).unwrap(), ["1x-echo", "4x-echo"]);
        let why = only(&["8x-obedient"]).unwrap_err();
        assert!(why.contains("--only 8x-obedient") && why.contains("4x-disobedient"), "{why}");
    }
}
