//! Which destinations a store's messages go to.

use std::collections::BTreeSet;

use crate::buffer::destination::DestinationName;
use crate::buffer::parked::ParkedMessages;
use crate::buffer::place;
use crate::error::Result;
use crate::limits;
use crate::store::rows::{RowSelection, RowsRead};

impl ParkedMessages {
    /// The destinations that were ever published to, and not forgotten.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn destinations(&self) -> Result<BTreeSet<DestinationName>> {
        let mut names = BTreeSet::new();
        for partition in self.store.properties().partitions.all() {
            let mut after = None;
            loop {
                let which = RowSelection::Prefix { prefix: String::new(), after, limit: limits::PAGE_ROWS };
                let read = RowsRead { partition, space: place::SPACE.to_owned(), which };
                let page = self.store.rows(read).await?;
                // The collector's own row has a name that no destination may have.
                names.extend(page.rows.iter().filter_map(|row| DestinationName::new(row.key.key()).ok()));
                if page.rows.len() < limits::PAGE_ROWS {
                    break;
                }
                after = page.rows.last().map(|row| row.key.key().to_owned());
            }
        }
        Ok(names)
    }
}
