"""What one server does at most."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerLimits:
    """Bounds on what a request may ask for, and on what the server holds at once.

    Args:
        body_bytes: Of one request's body, whether its length is declared or it comes in chunks.
        examples: Examples of one condition.
        classes: Classes of one condition.
        rows: Rows of one prediction.
        text: Characters of a description.
        parameters: Of one network; the networks that a hypernetwork was trained to write are always allowed.
        activation_bytes: Of all rows of one prediction, or all examples of one condition, run through the network at once.
        pictures: Pictures of one request.
        pixels: Of one picture, before it is decoded.
        connections: Open at once.
        head_s: Seconds in which a request's head must have come.
        body_s: Seconds in which its body must have come, beyond what `least_bytes_per_s` allows.
        least_bytes_per_s: A body that comes faster than this may take longer than `body_s`.
        write_s: Seconds for which a client may not read what it is sent.
        idle_s: Seconds for which a connection without a request is kept.
        request_s: Seconds in which a request is answered, or 504; a request may ask for fewer.
        drain_s: Seconds for what is under way when the server is told to stop.
        max_batch: Conditions written, or requests predicted for, at once.
        max_delay_s: How long the first of a batch waits for others.
        max_queue: Requests waiting for each kind of work; beyond, 429.
        bank_bytes: Of networks kept in memory.
    """

    body_bytes: int = 16_000_000
    examples: int = 10_000
    classes: int = 1_000
    rows: int = 10_000
    text: int = 10_000
    parameters: int = 2_000_000
    activation_bytes: int = 500_000_000
    pictures: int = 500
    pixels: int = 4_000_000
    connections: int = 1_000
    head_s: float = 8.0
    body_s: float = 8.0
    least_bytes_per_s: int = 32_000
    write_s: float = 30.0
    idle_s: float = 30.0
    request_s: float = 30.0
    drain_s: float = 20.0
    max_batch: int = 64
    max_delay_s: float = 0.002
    max_queue: int = 1_024
    bank_bytes: int = 2_000_000_000
