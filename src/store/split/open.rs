//! Opening: whether the two belong together, and whether each has what the other one remembers.

use std::sync::Arc;

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::store::split::anchor::{Anchor, is_unused};
use crate::store::split::half::Half;
use crate::store::split::store::SplitStore;
use crate::store::{Atomicity, EventStore, LogScope, StoreProperties};

/// The namespace of the ids of split stores. It never changes.
const NAMESPACE: Uuid = Uuid::from_u128(0x94d6_1a3e_75c8_5b02_a6f9_08e1_5bd3_c74f);

impl SplitStore {
    /// Opens the store that keeps side streams in `gateway` and aggregates in `ledger`: compares the two with what
    /// each remembers of the other one, and adds an anchor to each. Two unused stores are joined for good.
    ///
    /// # Errors
    /// [`LostHistory`](crate::ErrorKind::LostHistory) when one is older than the other one knows, or is another
    /// store than it was opened with before; the message says which. [`Invalid`](crate::ErrorKind::Invalid) when
    /// they have different numbers of partitions, are the same store, are exchanged, or when one holds records and
    /// was never half of a split store. Otherwise what reading and writing them failed with: what cannot be
    /// compared is not believed.
    pub async fn open(gateway: impl EventStore, ledger: impl EventStore) -> Result<Self> {
        let (gateway, ledger): (Arc<dyn EventStore>, Arc<dyn EventStore>) =
            (Arc::new(gateway), Arc::new(ledger));
        let properties = joined(gateway.properties(), ledger.properties())?;
        let anchors = Anchor::stream(properties.partitions)?;
        let store = Self::new(properties, gateway, ledger, anchors);
        store.compare(true).await?;
        store.anchor().await?;
        Ok(store)
    }

    /// Compares the two stores with their latest anchors once more, as [`open`](Self::open) does: call it when a
    /// database came back from a failover or a restore while the service ran on.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn verify(&self) -> Result<()> {
        self.compare(false).await
    }

    /// Each half's anchor against the other half. A half without an anchor is new: nothing was written to it.
    async fn compare(&self, may_be_new: bool) -> Result<()> {
        for half in [Half::Gateway, Half::Ledger] {
            match self.latest_anchor(half).await? {
                Some(anchor) => anchor.check(half, &**self.half(half.other())).await?,
                None if may_be_new => self.check_new(half).await?,
                None => return Err(self.never_joined(half)),
            }
        }
        Ok(())
    }

    async fn check_new(&self, half: Half) -> Result<()> {
        if is_unused(&**self.half(half)).await? { Ok(()) } else { Err(self.never_joined(half)) }
    }

    /// Its side streams or its aggregates would be looked for in the other half, and not be found.
    fn never_joined(&self, half: Half) -> Error {
        let id = self.half(half).properties().id;
        Error::invalid(format!("the {half} holds records and was never half of a split store"))
            .expected("an unused store, or one with anchors", format!("store {id} without"))
            .advice("split a service from its beginning, or copy its streams into two new stores")
    }
}

fn joined(gateway: StoreProperties, ledger: StoreProperties) -> Result<StoreProperties> {
    if gateway.partitions != ledger.partitions {
        return Err(Error::invalid("gateway and ledger have different numbers of partitions")
            .expected(
                format!("{} partitions, as in the gateway {}", gateway.partitions, gateway.id),
                format!("{} in the ledger {}", ledger.partitions, ledger.id),
            )
            .advice("make both stores with the same number"));
    }
    if gateway.id == ledger.id {
        return Err(Error::invalid(format!("gateway and ledger are the same store {}", gateway.id))
            .advice("a store that holds both needs no split: open it alone"));
    }
    if [gateway, ledger].iter().any(|half| half.log != LogScope::AllStreams) {
        return Err(Error::invalid("a half of a split store cannot be a split store itself")
            .expected("stores whose logs show all streams", "one that hides side streams")
            .advice("split first, and place each half on several stores"));
    }
    let ids: Vec<u8> = [gateway, ledger].into_iter().flat_map(|half| half.id.into_bytes()).collect();
    let id = Uuid::new_v5(&NAMESPACE, &ids);
    let (atomicity, log) = (Atomicity::Stream, LogScope::Aggregates);
    Ok(StoreProperties { id, partitions: gateway.partitions, atomicity, log })
}
