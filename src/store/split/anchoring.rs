//! Adding anchors, and removing old ones.

use crate::error::{Error, Result};
use crate::limits;
use crate::store::split::anchor::Anchor;
use crate::store::split::half::Half;
use crate::store::split::store::SplitStore;
use crate::store::{
    AppendFailure, EventStore, ReadFrom, StreamAppend, StreamPage, StreamRead, Unit, UnitResult,
};
use crate::stream::Version;

impl SplitStore {
    /// Lets each of the two stores remember what the other one holds now. An older copy of one of them is refused
    /// from then on. It costs two small reads a partition, a commit in each store, and the removal of the anchor
    /// before the last eight; commands may go on meanwhile. When two processes do it at once, one of them
    /// finds the other's anchor there and leaves it at that.
    ///
    /// # Errors
    /// What reading and writing the stores failed with. Commands need no anchor: call it again later.
    pub async fn anchor(&self) -> Result<()> {
        // One after the other: the ledger then remembers the gateway's anchor, so that a gateway restored to
        // its beginning is noticed even where no command came in between.
        self.add_anchor(Half::Gateway).await?;
        self.add_anchor(Half::Ledger).await
    }

    /// What a half remembers of the other one.
    pub(super) async fn latest_anchor(&self, half: Half) -> Result<Option<Anchor>> {
        let head = self.read_anchors(half, ReadFrom::After(Version::EMPTY), 0).await?.head;
        if head == Version::EMPTY {
            return Ok(None);
        }
        let before = Version::new(head.get().saturating_sub(1));
        let page = self.read_anchors(half, ReadFrom::After(before), 1).await?;
        let latest = page.records.first().ok_or_else(|| {
            Error::corrupt(format!("the {half} has lost its anchors")).in_stream(&self.anchors)
        })?;
        Anchor::read(latest).map(Some)
    }

    async fn add_anchor(&self, half: Half) -> Result<()> {
        // The version is read first: should another process add an anchor from here on, this one, which may be
        // older by then, is not taken.
        let head = self.read_anchors(half, ReadFrom::After(Version::EMPTY), 0).await?.head;
        let anchor = Anchor::of(half, &**self.half(half.other())).await?;
        match self.append_anchor(half, &anchor, head).await? {
            Ok(_) => self.remove_old(half, head.next()).await,
            Err(AppendFailure::WrongVersion { .. }) => {}
            Err(AppendFailure::Refused(error) | AppendFailure::Unknown(error)) => return Err(error),
            Err(other) => return Err(Error::corrupt(other.to_string()).in_stream(&self.anchors)),
        }
        Ok(())
    }

    async fn append_anchor(&self, half: Half, anchor: &Anchor, head: Version) -> Result<UnitResult> {
        let (stream, records) = (self.anchors.clone(), vec![anchor.to_record()?]);
        let partition = self.properties().partitions.of(stream.cardinal());
        let append = StreamAppend { stream, expected: head.into(), records };
        let results = self.half(half).append(partition, vec![Unit::one(append)]).await;
        results.into_iter().next().ok_or_else(|| Error::corrupt("a store answered less than it was asked"))
    }

    /// Failing here harms nobody: the next anchor tries it again.
    async fn remove_old(&self, half: Half, head: Version) {
        let through = Version::new(head.get().saturating_sub(limits::KEPT_ANCHORS));
        if through == Version::EMPTY {
            return;
        }
        if let Err(error) = self.half(half).truncate(&self.anchors, through).await {
            tracing::warn!(%error, %half, "old anchors could not be removed");
        }
    }

    async fn read_anchors(&self, half: Half, from: ReadFrom, limit: usize) -> Result<StreamPage> {
        let read = StreamRead { stream: self.anchors.clone(), from, limit };
        let pages = self.half(half).read_streams(vec![read]).await;
        pages
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(Error::corrupt("a store answered less than it was asked")))
    }
}
