"""Events of an observation block: when which telescope records what, and the array triggers.

All telescopes have the same slots. In slot *j* of a block of *k* telescopes with slots at rate
*r*, telescope *i* has a calibration event of its own at :math:`(j + i/k)/r`; a shower is one event
of all telescopes, at :math:`j/r`. The number of an event is its rank in time in the block, from 1.

# ASSUME: every telescope triggers on every shower, at the same time (their delays for the direction
of the shower are taken out).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import astropy.units as u
import numpy as np
from ctapipe.containers import EventType
from numpy.typing import ArrayLike, NDArray
from protozfits import DL0v1_Subarray_pb2 as dl0_subarray
from protozfits.anyarray import numpy_to_any_array

from .dl0 import Dl0Observation, event_times, zfits_file

__all__ = ["BlockSchedule", "block_schedule", "write_array_triggers"]


@dataclass(frozen=True)
class BlockSchedule:
    """Events of every telescope of a block.

    Parameters
    ----------
    event_type : ndarray, shape (n_slots,), uint8
        Values of `ctapipe.containers.EventType`.
    event_id : ndarray, shape (n_telescopes, n_slots), int64
        Number of the event that a telescope has in a slot; that of a shower is the same for all.
    seconds : ndarray, shape (n_telescopes, n_slots)
        When, after the begin of the block.
    """

    event_type: NDArray
    event_id: NDArray
    seconds: NDArray


@u.quantity_input
def block_schedule(
    event_type: ArrayLike, n_telescopes: int, rate: u.Quantity[u.Hz]
) -> BlockSchedule:
    """Schedule of a block.

    Parameters
    ----------
    event_type : ndarray, shape (n_slots,), int
        Values of `ctapipe.containers.EventType`; ``SUBARRAY`` is a shower.
    n_telescopes : int
        *k*.
    rate : Quantity
        Slots per time: events of one telescope.

    Returns
    -------
    BlockSchedule
        Times and numbers of each telescope ascend from slot to slot.
    """
    event_type = np.asarray(event_type, np.uint8)
    common = event_type == EventType.SUBARRAY.value
    n_events = np.where(common, 1, n_telescopes)
    place = np.where(common, 0, np.arange(n_telescopes)[:, np.newaxis])
    first = 1 + np.cumsum(n_events) - n_events
    seconds = (np.arange(event_type.size) + place / n_telescopes) / rate.to_value(u.Hz)
    return BlockSchedule(event_type, first + place, seconds)


def write_array_triggers(
    observation: Dl0Observation, schedule: BlockSchedule, tel_ids: Sequence[int]
) -> None:
    """Trigger file of a block: one row an event, with the telescopes that have it.

    Parameters
    ----------
    observation : Dl0Observation
        Of any telescope of the block.
    schedule : BlockSchedule
        Its events.
    tel_ids : sequence of int, length n_telescopes
        Telescopes of the schedule.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    event_id, first = np.unique(schedule.event_id, return_index=True)
    of_telescope, slot = np.unravel_index(first, schedule.event_id.shape)
    second, fraction = event_times(observation.start, schedule.seconds.flat[first])
    event_type = schedule.event_type[slot]
    own = [numpy_to_any_array(np.array([tel_id], np.uint16)) for tel_id in tel_ids]
    everyone = numpy_to_any_array(np.array(tel_ids, np.uint16))
    with zfits_file(observation.trigger_path, event_id.size) as stream:
        stream.move_to_new_table("DataStream")
        stream.write_message(
            dl0_subarray.DataStream(
                subarray_id=observation.subarray_id,
                sb_id=observation.sb_id,
                obs_id=observation.obs_id,
                producer_id=1,
                sb_creator_id=2,
            )
        )
        stream.move_to_new_table("SubarrayEvents")
        for row, number in enumerate(event_id):
            is_shower = event_type[row] == EventType.SUBARRAY.value
            telescopes = everyone if is_shower else own[of_telescope[row]]
            stream.write_message(
                dl0_subarray.Event(
                    event_id=number,
                    trigger_type=event_type[row],
                    sb_id=observation.sb_id,
                    obs_id=observation.obs_id,
                    event_time_s=second[row],
                    event_time_qns=fraction[row],
                    trigger_ids=numpy_to_any_array(number[np.newaxis].astype(np.uint64)),
                    tel_ids_with_trigger=telescopes,
                    tel_ids_with_data=telescopes,
                )
            )
