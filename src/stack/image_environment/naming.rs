//! How the images make the name of a property from the name of a variable.

/// The rules of one family of images. The prefix of the variable is cut before they apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// Confluent's until 7.9 (`dub`): `_` is a dot, `__` an underscore, `___` a hyphen.
    Dub,
    /// Confluent's since 8 (`ub`): the same, but of underscores around a single letter the second stays as it is.
    Ub,
    /// Apache's wrapper: as `Dub`, and the prefix is cut wherever it stands in the name.
    Apache,
}

impl Naming {
    /// The property that the rest of a variable's name stands for.
    pub(super) fn property(self, rest: &str) -> String {
        let rest = match self {
            Self::Apache => rest.replace("KAFKA_", ""),
            Self::Dub | Self::Ub => rest.to_owned(),
        };
        let name: Vec<char> = rest.to_lowercase().chars().collect();
        let mut property = String::new();
        let mut at = 0;
        // Where the last single underscore was that became a dot.
        let mut dot = None;
        while let Some(letter) = name.get(at) {
            if *letter != '_' {
                property.push(*letter);
                at += 1;
                continue;
            }
            let run = name.iter().skip(at).take_while(|letter| **letter == '_').count();
            match run {
                1 if self == Self::Ub && at >= 2 && dot == Some(at - 2) => property.push('_'),
                1 => {
                    property.push('.');
                    dot = Some(at);
                }
                2 => property.push('_'),
                3 => property.push('-'),
                _ => property.extend(std::iter::repeat_n('_', run)),
            }
            at += run;
        }
        property
    }
}

mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn underscores_are_dots_underscores_and_hyphens() {
        for naming in [Naming::Dub, Naming::Ub, Naming::Apache] {
            assert_eq!(naming.property("LOG_DIRS"), "log.dirs");
            assert_eq!(naming.property("A__B___CD"), "a_b-cd");
        }
    }

    #[test]
    fn single_letters_and_prefixes_within_a_name() {
        assert_eq!(Naming::Dub.property("KSQL_X_URL"), "ksql.x.url");
        assert_eq!(Naming::Ub.property("KSQL_X_URL"), "ksql.x_url");
        assert_eq!(Naming::Ub.property("A_B_C"), "a.b_c");
        assert_eq!(Naming::Apache.property("A_KAFKA_B"), "a.b");
    }

    proptest! {
        #[test]
        fn a_name_without_single_letters_means_the_same_to_all(name in "[A-Z]{2,5}(_[A-Z]{2,5}){0,4}") {
            prop_assume!(!name.contains("KAFKA_"));
            let expected = name.to_lowercase().replace('_', ".");
            for naming in [Naming::Dub, Naming::Ub, Naming::Apache] {
                prop_assert_eq!(naming.property(&name), expected.clone());
            }
        }

        #[test]
        fn any_name_becomes_something(name in "[A-Z_-]{0,20}") {
            for naming in [Naming::Dub, Naming::Ub, Naming::Apache] {
                let _ = naming.property(&name);
            }
        }
    }
}
