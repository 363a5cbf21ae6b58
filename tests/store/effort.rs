//! The effort of a run.

use sidestream::testkit::effort::Effort;

#[test]
fn quick_is_a_tenth_and_long_is_tenfold() {
    let cases = |name| Effort::named(name).map(|effort| effort.of(64));
    assert_eq!((cases("quick"), cases("ci"), cases("long")), (Some(6), Some(64), Some(640)));
    assert_eq!(cases("lnog"), None);
    assert_eq!(Effort::Quick.of(3), 1);
}
