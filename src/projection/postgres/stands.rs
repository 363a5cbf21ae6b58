//! Where the places of a generation stand.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::{Error, Result};
use crate::partition::PartitionId;
use crate::projection::generation::Stand;
use crate::projection::place::ProjectionId;
use crate::projection::postgres::catalogue;
use crate::projection::postgres::failure::failed;
use crate::projection::postgres::place::{signed, unsigned};
use crate::store::postgres::{Parameter, Session, column};
use crate::stream::Position;

const ALL: &str = include_str!("sql/view_stands.sql");
const LOCK: &str = include_str!("sql/view_lock_places.sql");
const FENCE: &str = include_str!("sql/view_fence_places.sql");
const TAKE_OVER: &str = include_str!("sql/view_take_over.sql");

/// Those of a generation; of the live one where none is named.
pub(super) async fn all(session: &Session, number: Option<u32>) -> Result<Vec<Stand>> {
    let number = number.map(catalogue::signed);
    let rows = session.query(ALL, &[(&number, Type::INT4)]).await;
    let rows = rows.map_err(|source| failed("looking at a view's places", source))?;
    rows.iter().map(stand).collect()
}

/// Keeps all places of a generation where they are, to the end of the transaction. It waits for commits under way.
pub(super) async fn lock(session: &Session, number: u32) -> Result<()> {
    let locked = session.query(LOCK, &[(&catalogue::signed(number), Type::INT4)]).await;
    locked.map(drop).map_err(|source| failed("holding a view's places", source))
}

/// Lets nobody who has a place of the generation open commit to it.
pub(super) async fn fence(session: &Session, number: u32) -> Result<()> {
    let fenced = session.change(FENCE, &[(&catalogue::signed(number), Type::INT4)]).await;
    fenced.map(drop).map_err(|source| failed("leaving a generation", source))
}

/// Fences lower epochs than the former generation's place had, and everybody who has either of the two open.
pub(super) async fn take_over(session: &Session, number: u32, stand: &Stand, former: &Stand) -> Result<()> {
    let (number, projection) = (catalogue::signed(number), &stand.projection);
    let (version, partition) = (i32::from(projection.version()), i32::from(stand.partition.get()));
    let (epoch, revision) = (signed(former.epoch)?, signed(former.revision)?);
    let parameters: [Parameter<'_>; 6] = [
        (&number, Type::INT4),
        (&projection.name(), Type::TEXT),
        (&version, Type::INT4),
        (&partition, Type::INT4),
        (&epoch, Type::INT8),
        (&revision, Type::INT8),
    ];
    let taken = session.change(TAKE_OVER, &parameters).await;
    taken.map(drop).map_err(|source| failed("taking over an epoch", source))
}

fn stand(row: &Row) -> Result<Stand> {
    let unfit = |_| Error::corrupt("a view's place has a version or a partition that does not exist");
    let (version, partition): (i32, i32) = (column(row, 1)?, column(row, 2)?);
    Ok(Stand {
        projection: ProjectionId::new(column::<String>(row, 0)?, u16::try_from(version).map_err(unfit)?)?,
        partition: PartitionId::new(u16::try_from(partition).map_err(unfit)?),
        epoch: unsigned(row, 3)?,
        revision: unsigned(row, 4)?,
        position: Position::new(unsigned(row, 5)?),
        parked: column(row, 6)?,
    })
}
