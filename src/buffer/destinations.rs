//! Which destinations a store's messages go to.

use std::collections::BTreeSet;

use crate::buffer::destination::DestinationName;
use crate::buffer::parked::ParkedMessages;
use crate::buffer::place;
use crate::error::Result;
use crate::store::json_rows;

impl ParkedMessages {
    /// The destinations that were ever published to, and not forgotten.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn destinations(&self) -> Result<BTreeSet<DestinationName>> {
        let mut names = BTreeSet::new();
        for partition in self.store.properties().partitions.all() {
            let found = json_rows::all(&*self.store, partition, (place::SPACE, "")).await?;
            // The collector's own row has a name that no destination may have.
            names.extend(found.rows.iter().filter_map(|row| DestinationName::new(row.key.key()).ok()));
        }
        Ok(names)
    }
}
