//! What a store says of itself.

use super::Fixture;
use super::records::{Subject, account, events, unit, v};

/// > answer the same for as long as the store exists, on every instance of it
///
/// # Panics
/// When the store breaks it.
pub async fn answers_the_same_on_every_instance(fixture: &dyn Fixture) {
    let subject = Subject::open(fixture).await;
    let first = subject.properties;
    subject.commit(unit(&account(1), v(0), events("a", 1))).await;
    assert_eq!(subject.store.properties(), first);
    assert_eq!(subject.reopen(fixture).await.properties, first);
}
