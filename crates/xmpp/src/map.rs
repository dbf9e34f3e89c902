//! Maps with a fixed hasher, for keys that no stranger chooses: the same order in every replay.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};

/// A map with a fixed hasher.
pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;
/// A set with a fixed hasher.
pub type Set<K> = HashSet<K, BuildHasherDefault<DefaultHasher>>;
