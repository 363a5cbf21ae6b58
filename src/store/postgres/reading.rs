//! Reads of streams on their way to the database: whatever waits when a connection becomes free is read in one call.

use std::sync::Arc;

use crate::error::Result;
use crate::limits;
use crate::store::postgres::failure;
use crate::store::postgres::gathered::Carrier;
use crate::store::postgres::pool::Lent;
use crate::store::postgres::shared::Core;
use crate::store::postgres::stream_read::{Reads, pages, seen};
use crate::store::{StreamPage, StreamRead};

/// The answers to some reads.
pub(super) type Pages = Vec<Result<StreamPage>>;

impl Core {
    /// Reads parts of streams, as of one moment.
    pub(super) async fn read_streams(self: &Arc<Self>, reads: Vec<StreamRead>) -> Pages {
        let count = reads.len();
        let (pages, carrier) = self.reads.put(reads, count);
        if let Some(carrier) = carrier {
            tokio::spawn(Arc::clone(self).carry_reads(carrier));
        }
        let ended = || failure::unavailable("the read ended without an answer");
        pages.await.unwrap_or_else(|_| (0..count).map(|_| Err(ended())).collect())
    }

    async fn carry_reads(self: Arc<Self>, mut carrier: Carrier<Vec<StreamRead>, Pages>) {
        loop {
            carrier.turn.come().await;
            // First the connection: what comes meanwhile goes along.
            let session = self.readers.session().await;
            let mut count: usize = 0;
            let fits = |reads: &Vec<StreamRead>| {
                count = count.saturating_add(reads.len());
                count <= limits::BULK_READS
            };
            let Some((bulks, replies)) = carrier.take(fits) else { return };
            let sizes: Vec<usize> = bulks.iter().map(Vec::len).collect();
            let reads: Vec<StreamRead> = bulks.into_iter().flatten().collect();
            let pages = match session {
                Ok(session) => self.read(session, &reads).await,
                Err(error) => Err(error),
            };
            let mut pages = pages.unwrap_or_else(|error| reads.iter().map(|_| Err(error.clone())).collect());
            for (size, reply) in sizes.into_iter().zip(replies) {
                let rest = pages.split_off(size.min(pages.len()));
                // Whoever went away needs no answer.
                drop(reply.send(std::mem::replace(&mut pages, rest)));
            }
            if !carrier.goes_on() {
                return;
            }
        }
    }

    async fn read(&self, session: Lent, reads: &[StreamRead]) -> Result<Pages> {
        let partitions = self.properties.partitions;
        let columns = Reads::new(reads, partitions);
        let rows = session.query(columns.sql(), &columns.parameters()).await;
        let rows = rows.map_err(|source| failure::of("reading streams", source))?;
        drop(session);
        let pages = pages(reads, &columns, rows);
        if self.quorum {
            self.confirmed.demand(&self.readers, &seen(reads, &pages, partitions)).await?;
        }
        Ok(pages)
    }
}
