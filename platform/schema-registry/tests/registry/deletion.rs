//! What is deleted, softly and for good, a case a test.

use serde_json::json;

use super::cases::{DOOR, DOOR_WITH_DEFAULT, code};
use crate::support::Pair;

#[tokio::test]
async fn versions_are_deleted_softly_first() {
    let Pair { registry, .. } = &Pair::start().await;
    registry.id("door", DOOR).await;
    registry.id("door", DOOR_WITH_DEFAULT).await;
    assert_eq!(
        registry.delete("/subjects/door/versions/2").await,
        (200, json!(2))
    );
    assert_eq!(registry.get("/subjects/door/versions").await.1, json!([1]));
    assert_eq!(
        registry.get("/subjects/door/versions?deleted=true").await.1,
        json!([1, 2])
    );
    assert_eq!(
        registry.get("/subjects/door/versions?deletedOnly=true").await.1,
        json!([2])
    );
    assert_eq!(
        code(&registry.delete("/subjects/door/versions/2").await),
        (404, 40406)
    );
    assert_eq!(registry.get("/schemas/ids/2").await.0, 200);
    assert_eq!(
        code(&registry.delete("/subjects/door/versions/1?permanent=true").await),
        (404, 40407)
    );
    assert_eq!(
        registry.delete("/subjects/door/versions/2?permanent=true").await,
        (200, json!(2))
    );
    assert_eq!(
        registry.get("/subjects/door/versions?deleted=true").await.1,
        json!([1])
    );
    assert_eq!(code(&registry.get("/schemas/ids/2").await), (404, 40403));
    // Its id is not given to anybody else.
    assert_eq!(registry.id("door", DOOR_WITH_DEFAULT).await, 3);
}

#[tokio::test]
async fn a_subject_is_deleted_softly_first() {
    let Pair { registry, .. } = &Pair::start().await;
    registry.id("sd", DOOR).await;
    registry.id("sd", DOOR_WITH_DEFAULT).await;
    assert_eq!(
        code(&registry.delete("/subjects/sd?permanent=true").await),
        (404, 40405)
    );
    assert_eq!(registry.delete("/subjects/sd").await, (200, json!([1, 2])));
    assert_eq!(registry.get("/subjects").await.1, json!([]));
    assert_eq!(registry.get("/subjects?deleted=true").await.1, json!(["sd"]));
    assert_eq!(code(&registry.delete("/subjects/sd").await), (404, 40404));
    // Registered again, it has its old id and a version that was never given.
    assert_eq!(registry.id("sd", DOOR).await, 1);
    assert_eq!(registry.get("/subjects/sd/versions").await.1, json!([3]));
    assert_eq!(
        code(&registry.get("/subjects/sd/versions/1?deleted=true").await),
        (404, 40402)
    );
    registry
        .put("/config/sd", &json!({"compatibility": "FULL"}))
        .await;
    registry.delete("/subjects/sd").await;
    assert_eq!(
        registry.delete("/subjects/sd?permanent=true").await,
        (200, json!([2, 3]))
    );
    assert_eq!(code(&registry.delete("/subjects/sd").await), (404, 40401));
    assert_eq!(code(&registry.get("/config/sd").await), (404, 40408));
    assert_eq!(
        (
            registry.id("sd", DOOR).await,
            registry.get("/subjects/sd/versions").await.1
        ),
        (3, json!([1]))
    );
}

#[tokio::test]
async fn what_others_refer_to_stays() {
    let Pair { registry, .. } = &Pair::start().await;
    let a = r#"{"type":"record","name":"A","namespace":"n","fields":[{"name":"i","type":"int"}]}"#;
    let b = r#"{"type":"record","name":"B","namespace":"n","fields":[{"name":"a","type":"A"}]}"#;
    registry.id("ra", a).await;
    let references = json!([{"name": "n.A", "subject": "ra", "version": -1}]);
    let sent = json!({"schema": b, "references": references});
    assert_eq!(
        registry.post("/subjects/rb/versions", &sent).await,
        (200, json!({"id": 2}))
    );
    let resolved = r#"{"type":"record","name":"B","namespace":"n","fields":[{"name":"a","type":{"type":"record","name":"A","fields":[{"name":"i","type":"int"}]}}]}"#;
    let (_, shown) = registry.get("/subjects/rb/versions/1?format=resolved").await;
    assert_eq!(
        (&shown["schema"], &shown["references"][0]["version"]),
        (&json!(resolved), &json!(1))
    );
    assert_eq!(
        registry.get("/subjects/rb/versions/1?format=zzz").await.1["schema"],
        b
    );
    // The same schema with everything written out is the same schema.
    assert_eq!(registry.id("rb", resolved).await, 2);
    assert_eq!(
        registry.get("/subjects/ra/versions/1/referencedby").await.1,
        json!([2])
    );
    for path in ["/subjects/ra", "/subjects/ra/versions/1"] {
        let refused = registry.delete(path).await;
        assert_eq!(code(&refused), (422, 42206), "{refused:?}");
    }
    registry.delete("/subjects/rb").await;
    assert_eq!(registry.delete("/subjects/ra").await.0, 200);
}
