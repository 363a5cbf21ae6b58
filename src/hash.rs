//! Hash tables with a hash that is fast on short keys. It is seeded anew in each process, so that nobody can
//! choose ids that collide; nothing of it is stored.

/// A hash map.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
/// A hash set.
pub(crate) type HashSet<K> = std::collections::HashSet<K, foldhash::fast::RandomState>;
