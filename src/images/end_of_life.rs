//! Images that go away: Confluent takes a line out of public access once its support has ended, and 7.9 is the last one with
//! ZooKeeper.

use crate::images::Reference;
use crate::stack::ImageRef;

/// What there is to do about it.
pub const WAY_OUT: &str = "`--stack confluent-8` is Confluent Platform as it lives on; `osqdemo images save FILE` keeps the images \
                           that are here";

/// Whether the image is of a line that goes away.
pub fn goes_away(image: &ImageRef) -> bool {
    let Ok(Reference { repository, tag, .. }) = image.as_str().parse::<Reference>() else {
        return false;
    };
    repository.split('/').any(|part| part == "confluentinc") && tag.is_some_and(|tag| tag.starts_with("7."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Diagnose;
    use crate::images::{ImageError, PullFault};
    use crate::stack::EmbeddedStack;

    #[test]
    fn the_line_with_zookeeper_goes_away_and_the_next_one_does_not() {
        let goes = |stack: EmbeddedStack| {
            let stack = stack.services().expect("an embedded stack");
            let containers = stack
                .services
                .iter()
                .filter_map(|service| service.container.as_ref());
            let mut images = containers.map(|container| ImageRef::new(container.image.fill(&|_| None)));
            images.any(|image| goes_away(&image))
        };
        assert!(goes(EmbeddedStack::Confluent));
        for stack in [
            EmbeddedStack::Lite,
            EmbeddedStack::Kafka,
            EmbeddedStack::Confluent8,
        ] {
            assert!(!goes(stack), "{stack}");
        }
        assert!(goes_away(&ImageRef::new(
            "mirror.example:5000/hub/confluentinc/cp-server:7.9.9"
        )));
        assert!(!goes_away(&ImageRef::new("confluentinc/cp-server:8.2.0")));
    }

    #[test]
    fn an_image_that_is_gone_is_told_with_the_stack_that_lives_on() {
        let gone = |image: &str| ImageError::Pull {
            image: ImageRef::new(image),
            fault: PullFault::NotFound,
            answer: "manifest unknown".to_owned(),
            registry: "docker.io".to_owned(),
            platform: "linux/amd64".to_owned(),
            attempts: 1,
        };
        let hints = gone("confluentinc/cp-server:7.9.9").hints();
        assert!(hints.iter().any(|hint| hint == WAY_OUT), "{hints:?}");
        let hints = gone("apache/kafka:4.2.1").hints();
        assert!(!hints.iter().any(|hint| hint == WAY_OUT), "{hints:?}");
    }
}
