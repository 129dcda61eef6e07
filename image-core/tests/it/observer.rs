//! What an observer is told, as JSON.

use std::sync::{Arc, Mutex};

use image_core::{
    Ctx, Event,
    observer::{NoticeKind, Outcome, TaskKind},
};

#[test]
fn events_are_written_as_objects() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&told);
    let ctx = Ctx::default().with_observer(Arc::new(move |event: &Event<'_>| {
        ear.lock().unwrap().push(serde_json::to_value(event).unwrap());
    }));
    let task = ctx.begin(TaskKind::Pack, "a \"layer\"", Some(7));
    task.advance(5, 1);
    task.end(Outcome::Cached);
    drop(ctx.begin(TaskKind::Step, "b", None));
    ctx.notice(NoticeKind::Altered, "/etc", "it was changed");

    let mut told = told.lock().unwrap().clone();
    for event in &mut told {
        if let Some(event) = event.as_object_mut().filter(|event| event.contains_key("task")) {
            assert!(event.remove("task").unwrap().is_u64());
        }
    }
    let expected = [
        serde_json::json!({"event": "begin", "kind": "pack", "label": "a \"layer\"", "bytes": 7}),
        serde_json::json!({"event": "advance", "bytes": 5, "items": 1}),
        serde_json::json!({"event": "end", "outcome": "cached"}),
        serde_json::json!({"event": "begin", "kind": "step", "label": "b", "bytes": null}),
        serde_json::json!({"event": "end", "outcome": "failed"}),
        serde_json::json!({"event": "notice", "kind": "altered", "subject": "/etc", "message": "it was changed"}),
    ];
    assert_eq!(told, expected);
}
