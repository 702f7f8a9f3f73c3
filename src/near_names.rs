//! The names a mistyped one may have meant.

/// How alike two names must be: 1 is the same, 0 has nothing in common.
const ALIKE: f64 = 0.7;
/// More would not be a hint.
const MOST: usize = 3;

/// The names of `known` that `name` may have meant, the likeliest first.
pub fn near_names<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let name = name.to_lowercase();
    let mut near: Vec<(f64, &str)> = known
        .into_iter()
        .map(|candidate| {
            let lower = candidate.to_lowercase();
            let alike = strsim::normalized_damerau_levenshtein(&name, &lower);
            let contained = !name.is_empty() && lower.contains(&name);
            (if contained { alike.max(ALIKE) } else { alike }, candidate)
        })
        .filter(|(alike, candidate)| *alike >= ALIKE && !candidate.is_empty())
        .collect();
    near.sort_by(|(a, first), (b, second)| b.total_cmp(a).then_with(|| first.cmp(second)));
    near.truncate(MOST);
    near.into_iter().map(|(_, candidate)| candidate).collect()
}

/// A hint sentence: the near names, else all the names there are.
pub fn hint<'a>(what: &str, name: &str, known: &'a [String]) -> Vec<String> {
    let quote = |names: &[&'a str]| {
        let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        quoted.join(", ")
    };
    let all: Vec<&str> = known.iter().map(String::as_str).collect();
    let near = near_names(name, all.iter().copied());
    if !near.is_empty() {
        vec![format!("did you mean {}?", quote(&near).replace(", ", " or "))]
    } else if all.is_empty() {
        vec![format!("there are no {what}")]
    } else {
        vec![format!("the {what} are {}", quote(&all))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_parts_and_case_are_understood() {
        let known = ["processes", "open_files", "process_events", "PROC"];
        assert_eq!(near_names("proceses", known), ["processes"]);
        assert_eq!(near_names("openfiles", known), ["open_files"]);
        assert_eq!(near_names("proc", known), ["PROC", "process_events", "processes"]);
        assert!(near_names("syslog", known).is_empty());
        assert!(near_names("", known).is_empty());
    }

    #[test]
    fn a_hint_names_all_when_none_is_near() {
        let known = ["host1".to_owned(), "host2".to_owned()];
        assert_eq!(hint("hosts", "hots2", &known), ["did you mean `host2`?"]);
        assert_eq!(hint("hosts", "mars", &known), ["the hosts are `host1`, `host2`"]);
        assert_eq!(hint("hosts", "mars", &[]), ["there are no hosts"]);
    }
}
