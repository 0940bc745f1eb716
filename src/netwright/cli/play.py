"""`netwright play`."""

from pathlib import Path

from netwright.apps.control import Change, animate, draw_map, fly, parse_machine, write_page
from netwright.cli.output import next_folder, print_json
from netwright.errors import RunError
from netwright.hypernetwork import Hypernetwork
from netwright.tasks.control import Control
from netwright.training import build_family, load_writer


def run_play(
    run_folder: Path,
    context: tuple[str, ...],
    change: tuple[str, ...],
    *,
    at: int | None,
    rewrite_every: int,
    seed: int,
    plane: str | None,
    out: Path | None,
    weights: str,
    as_json: bool,
) -> None:
    """Fly one machine under the policy written for it, and draw that; or write the page."""
    writer, run = load_writer(run_folder, weights=weights)
    family = build_family(run.family)
    if not isinstance(family, Control):
        raise RunError(
            f"{run_folder} is of the tasks {run.family['name']!r}, expected machines such as `netwright train pendulum` makes."
        )
    if out is not None and out.suffix.lower() in (".html", ".htm"):
        if not isinstance(writer, Hypernetwork):
            raise RunError(f"{run_folder} is of {type(writer).__name__}, expected a hypernetwork.")
        machine = parse_machine(family.environment, context)
        page = write_page(writer, family, out, machine=machine)
        print_json({"page": page}) if as_json else print(f"page: {page} (open it in a browser)")
        return
    environment = family.environment
    machine = parse_machine(environment, context)
    if plane is not None:
        first, comma, second = plane.partition(",")
        if not comma:
            raise RunError(f"`--map` is {plane!r}, expected two quantities, such as gain,mass.")
        out = out or next_folder(f"map-{family.name}").with_suffix(".png")
        picture = draw_map(writer, family, machine, (first.strip(), second.strip()), out)
        print_json({"picture": picture}) if as_json else print(f"picture: {picture}")
        return
    changed = None
    if change:
        step = environment.steps // 2 if at is None else at
        # What does not change stays as it was.
        said = [
            f"{q.name}={v}"
            for q, v in zip(environment.quantities, machine[0].tolist(), strict=True)
        ]
        changed = Change(step, parse_machine(environment, (*said, *change)))
    flight = fly(writer, family, machine, seed=seed, change=changed, rewrite_every=rewrite_every)[0]
    out = out or next_folder(f"play-{family.name}").with_suffix(".gif")
    animate(flight, family.name, environment, out)
    earned, good = (
        float(flight.rewards.sum()),
        float(flight.good[-environment.hold :].float().mean()),
    )
    if as_json:
        print_json(
            {
                "run": run.digest,
                "machine": dict(
                    zip([q.name for q in environment.quantities], machine[0].tolist(), strict=True)
                ),
                "return": earned,
                "good_in_the_end": good,
                "rewrites": list(flight.rewrites),
                "picture": out,
            }
        )
        return
    print(
        f"return {earned:.1f}; the task was done in {good:.0%} of the last {environment.hold} steps"
    )
    print(f"picture: {out}")


__all__ = ["run_play"]
