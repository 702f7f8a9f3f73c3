//! Plans for images whose programs are compiled from a checkout.

use super::*;

/// Stack `lite` in containers, its programs compiled from a checkout with this content.
fn compiled(content: &str) -> Vec<ServiceSpec> {
    let stack = Stack::lite().expect("the embedded stack");
    let programs = ProgramsImage {
        image: ImageRef::new("osqdemo/programs:1"),
        content: content.to_owned(),
    };
    let choices = Choices {
        ports: &BTreeMap::from([
            (ServiceName::new("broker"), 9092),
            (ServiceName::new("schema-registry"), 8081),
            (ServiceName::new("ksqldb-server"), 8088),
            (ServiceName::new("console"), 9021),
        ]),
        folder: Path::new("/state/demo"),
        identity: &|_| String::new(),
        variables: &BTreeMap::from([("OSQDEMO_HOST_IMAGE".to_owned(), "host".to_owned())]),
        image_content: &|recipe| format!("{recipe:?} with {content}"),
        programs: Some(&programs),
        host_config: None,
        client: None,
        listener: None,
        reach: Reach::Network,
    };
    resolve(&stack, &choices).expect("a stack that resolves")
}

/// A daemon that has images of these programs, and runs nothing.
fn with_images(content: &str, programs: Option<&str>) -> Observed {
    let made = compiled(content).into_iter().filter_map(|spec| spec.container);
    let mut images: BTreeMap<ImageRef, ObservedImage> = made
        .map(|container| {
            let image = ObservedImage {
                id: "sha256:1".to_owned(),
                content: container.image_content,
            };
            (container.image, image)
        })
        .collect();
    images.extend(programs.map(|content| {
        let image = ObservedImage {
            id: "sha256:2".to_owned(),
            content: Some(content.to_owned()),
        };
        (ImageRef::new("osqdemo/programs:1"), image)
    }));
    Observed {
        supervisor: SupervisorState::Daemon {
            network: NetworkState::Present,
        },
        services: BTreeMap::new(),
        images,
    }
}

#[test]
fn programs_are_compiled_before_what_is_made_of_them() {
    let plan = |observed: &Observed, which| Plan::of_images(&compiled("two"), observed, which).to_string();
    let outdated = |observed: &Observed| plan(observed, WhichImages::Outdated);
    let nothing = Observed {
        images: BTreeMap::new(),
        ..with_images("two", None)
    };
    let causes: Vec<String> = Plan::of_images(&compiled("two"), &nothing, WhichImages::Outdated)
        .operations
        .iter()
        .map(|operation| format!("{} {:?}", operation.cause, operation.after))
        .collect();
    assert_eq!(
        causes,
        [
            "not on this machine []",
            "not on this machine [0]",
            "not on this machine [0]"
        ]
    );
    assert_snapshot!(outdated(&with_images("one", Some("one"))), @"
    1. compile the programs in image osqdemo/programs:1 (its content changed)
    2. build image osqdemo/platform:0.1.0 (its content changed), after 1
    3. build image osqdemo/host:0.1.0 (its content changed), after 1
    ");
    // They were compiled, and the rest was interrupted.
    assert_snapshot!(outdated(&with_images("one", Some("two"))), @"
    1. build image osqdemo/platform:0.1.0 (its content changed)
    2. build image osqdemo/host:0.1.0 (its content changed)
    ");
    // Nobody needs them once they are in the others.
    assert_eq!(outdated(&with_images("two", None)), "");
    assert_snapshot!(plan(&with_images("two", None), WhichImages::All), @"
    1. compile the programs in image osqdemo/programs:1 (not on this machine)
    2. build image osqdemo/platform:0.1.0 (requested), after 1
    3. build image osqdemo/host:0.1.0 (requested), after 1
    ");
}

#[test]
fn what_is_left_of_a_plan_keeps_its_order() {
    let observed = Observed {
        images: BTreeMap::new(),
        ..with_images("two", None)
    };
    let plan = Plan::make(&compiled("two"), &observed);
    let left = plan.clone().after(&[0, 2]);
    assert_eq!(left.operations.len(), plan.operations.len() - 2);
    for operation in &left.operations {
        let (before, after) = (
            plan.operations
                .iter()
                .find(|earlier| earlier.action == operation.action)
                .expect("it was there"),
            &operation.after,
        );
        let named = |plan: &Plan, after: &[usize]| -> Vec<Action> {
            after
                .iter()
                .map(|index| plan.operations[*index].action.clone())
                .collect()
        };
        let is_left = |action: &Action| left.operations.iter().any(|left| left.action == *action);
        let expected: Vec<Action> = named(&plan, &before.after).into_iter().filter(is_left).collect();
        assert_eq!(named(&left, after), expected, "{}", operation.action);
    }
}
