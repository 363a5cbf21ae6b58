//! Golden files: one line for each thing that is pinned, `name = value`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The variable that has new lines written, when it is `new`. Nothing has a changed line written.
const BLESS: &str = "SIDESTREAM_BLESS";

pub struct Golden {
    path: PathBuf,
    pinned: BTreeMap<String, String>,
    text: String,
}

impl Golden {
    pub fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format/golden").join(name);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let parse = |line: &str| {
            let (name, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{line:?} pins nothing"));
            (name.to_owned(), value.to_owned())
        };
        let pinned = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(parse);
        Self { path, pinned: pinned.collect(), text }
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.pinned.get(name).map(String::as_str)
    }

    /// Demands that everything is pinned, as it is, and that nothing that is pinned has gone.
    #[track_caller]
    pub fn check(mut self, found: &[(String, String)], what_to_do: &str) {
        let (wrong, new) = self.compare(found);
        let path = self.path.display();
        assert!(wrong.is_empty(), "{path}: what is stored could not be read any more:\n{wrong}{what_to_do}");
        if env::var(BLESS).is_ok_and(|value| value == "new") {
            fs::create_dir_all(self.path.parent().expect("a folder")).unwrap();
            fs::write(&self.path, self.text + &new).unwrap();
            return;
        }
        assert!(new.is_empty(), "{path}: not pinned yet; check these lines and run with {BLESS}=new:\n{new}");
    }

    /// What differs from what is pinned, and what is not pinned yet.
    fn compare(&mut self, found: &[(String, String)]) -> (String, String) {
        let (mut wrong, mut new) = (String::new(), String::new());
        for (name, value) in found {
            match self.pinned.remove(name) {
                Some(pinned) if pinned == *value => {}
                Some(pinned) => {
                    let _ = write!(wrong, "{name}\n    pinned: {pinned}\n    found:  {value}\n");
                }
                None => {
                    let _ = writeln!(new, "{name} = {value}");
                }
            }
        }
        for name in self.pinned.keys() {
            let _ = writeln!(wrong, "{name}\n    is pinned, and nothing tries it any more");
        }
        (wrong, new)
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

/// The comparison sees a changed line, a missing one and a new one, and writes nothing itself.
#[test]
fn a_golden_file_differs_by_any_line() {
    let differences = |lines: &[(&str, &str)]| {
        let pinned = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        let mut golden = Golden { path: PathBuf::new(), pinned, text: String::new() };
        let found: Vec<_> =
            lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (wrong, new) = golden.compare(&found);
        (!wrong.is_empty(), !new.is_empty())
    };
    assert_eq!(differences(&[("a", "1")]), (false, false));
    assert_eq!(differences(&[("a", "2")]), (true, false));
    assert_eq!(differences(&[]), (true, false));
    assert_eq!(differences(&[("a", "1"), ("b", "1")]), (false, true));
}
