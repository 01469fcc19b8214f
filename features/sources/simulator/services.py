"""The services of the made-up platform and what is normal for each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """One service: whose clock it follows, how much it is asked, how fast it answers when well."""

    name: str
    exchange: str
    rate: float
    """Requests a second on a plain trading morning, before growth."""
    base_ms: float
    """Median latency of an idle service."""
    work_ms: float
    """Time of a worker that one request costs, on the mean."""
    trading_share: float = 1.0
    """Share of the demand that follows the exchange's session; the rest follows people's day."""
    open_peak: float = 1.2
    close_peak: float = 0.9
    """How far the demand rises above the midday level at the open and at the close."""
    sigma: float = 0.42
    """Spread of the body of the latencies: standard deviation of their logarithm."""
    tail_index: float = 3.2
    """Pareto index of the latencies' tail; smaller is heavier."""
    growth: float = 0.15
    """Growth of the demand a year, as a logarithm."""
    utilisation: float = 0.62
    """The load that its autoscaler aims for."""
    min_workers: int = 3


DEFAULT_SERVICES = (
    Service("default", "XNYS", 2_400, 18.0, 6.0, trading_share=0.6, tail_index=3.0),
    Service("order-gateway", "XNYS", 3_200, 1.4, 2.2, trading_share=0.97, open_peak=1.6),
    Service("matching-engine", "XNYS", 7_500, 0.35, 0.7, open_peak=1.8, sigma=0.36, tail_index=3.4),
    Service("market-data", "XLON", 11_000, 0.8, 0.9, open_peak=1.4, tail_index=3.6, growth=0.22),
    Service("risk-check", "XNYS", 2_900, 4.5, 3.5, open_peak=1.5, sigma=0.40),
    Service("pricing", "XTKS", 1_300, 12.0, 11.0, sigma=0.48, tail_index=3.0),
    Service(
        "settlement",
        "XLON",
        70,
        190.0,
        160.0,
        open_peak=0.2,
        close_peak=2.0,
        sigma=0.52,
        tail_index=2.7,
    ),
    Service(
        "client-portal", "XLON", 260, 85.0, 55.0, trading_share=0.15, sigma=0.50, tail_index=2.8
    ),
    Service("auth", "XNYS", 420, 28.0, 14.0, trading_share=0.30, open_peak=2.0),
)
"""Eight services, and `default`: the public entrance, meant when a client names no entity."""
