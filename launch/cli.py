"""The command `reverie`: one thin function a verb.

Nothing heavy is imported before the verb is known.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from launch import drawing, importing, sweeps, verdicts
from launch.parser import Parser, Verbs, hush, labels, natural, positive, verb

EXAMPLES = """examples:
  reverie suites                                       what can be measured
  reverie agents                                       what can be compared
  reverie run ppo --suite demo --game pong --seed 0    one run, here, resumable
  reverie run dreamer_ppo --block aux --suite demo --game pong --seed 0
  reverie evaluate runs/demo/ppo/pong/0 --episodes 50 --greedy
  reverie play runs/demo/ppo/pong/0                    a video of it
  reverie dream runs/atari100k/dreamerv3/pong/0        what its world model sees and imagines
  reverie report demo --partial                        what there is so far
  reverie estimate demo                                what a sweep will cost, from measured speed
  reverie status                                       how far every run of a sweep is
  reverie doctor                                       what a sweep would meet on a cluster
  reverie references atari100k                         what papers published, with its sources
  snakemake --profile local --config suite=demo        the whole suite
"""


def main(words: Sequence[str] | None = None) -> int:
    """Runs a verb and returns the exit code; bad input is one message and code 2."""
    top = parser()
    if not (sys.argv[1:] if words is None else words):
        top.print_help(sys.stderr)
        return 2
    args = top.parse_args(words)
    try:
        return args.verb(args) or 0
    except ValueError as error:
        print(f"reverie {args.name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"reverie {args.name}: interrupted", file=sys.stderr)
        return 130  # As shells count: 128 + SIGINT.
    except BrokenPipeError:  # The reader of our output has gone: `reverie suites | head`.
        hush()
        return 0


def parser() -> argparse.ArgumentParser:
    """Returns the parser of all verbs."""
    top = Parser(
        prog="reverie",
        description="Trains, resumes, evaluates and reports Dreamer and PPO agents on Atari.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="name", required=True, metavar="VERB", parser_class=Parser)
    for add in (_run, _evaluate, _play, _dream, _suites, _agents, _report, _sync, _export):
        add(verbs)
    sweeps.add(verbs)
    importing.add(verbs)
    verdicts.add(verbs)
    drawing.add(verbs)
    return top


def _run(verbs: Verbs) -> None:
    sub = verb(
        verbs, run, "run", "train one agent on one game with one seed, or go on with that",
        "Repeat the command to go on after a stop or a kill. Exit codes: 0 finished, 1 failed,\n"
        "2 refused, 75 stopped with a checkpoint. Stop it with Ctrl-C, SIGTERM, SIGUSR2 or by\n"
        "creating a file named 'stop' in its folder.\n\n"
        "  reverie run ppo --suite demo --game pong --seed 0\n"
        "      a run of the suite: in runs/demo/ppo/pong/0, with a receipt in results/\n"
        "  reverie run dreamer_ppo --block aux --suite demo --game pong --seed 0\n"
        "      with settings that have a name (`reverie agents dreamer_ppo` lists them)\n"
        "  reverie run ppo --suite demo --game pong --seed 7 --frames 20_000 \\\n"
        "      --set learning_rate=1.0e-4 training.streams=4\n"
        "      a debug run: in runs/debug/, and in none of the suite's results",
    )  # fmt: skip
    sub.add_argument("agent", help="name of an agent (see `reverie agents`)")
    sub.add_argument("--suite", required=True, help="whose task and budget (see `reverie suites`)")
    sub.add_argument("--game", required=True, help="one of the suite's games")
    sub.add_argument("--seed", type=natural, default=0, help="0, 1, 2, ... (default 0)")
    sub.add_argument("--frames", type=natural, help="budget instead of the suite's; a debug run")
    sub.add_argument(
        "--block", action="append", default=[], help="named settings of the agent, repeatable"
    )
    sub.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", dest="sets",
        help="settings of the agent by dotted key; a debug run",
    )  # fmt: skip
    sub.add_argument("--backend", help="ale or envpool instead of the suite's; a debug run")
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder of the run; no receipt")
    sub.add_argument(
        "--threads", type=positive, default=1, help="of the agent on the CPU (default 1)"
    )
    sub.add_argument(
        "--workers", type=natural, help="of the environments; changes nothing but the speed"
    )
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default auto)")
    sub.add_argument(
        "--checkpoint-every", type=float, default=60.0, metavar="SECONDS", help="default 60"
    )
    sub.add_argument(
        "--tracking", choices=("auto", "spool", "off"), default="auto",
        help="auto: a process beside the run brings its files to MLflow; spool: files only, for "
        "`reverie sync`; off: not for MLflow at all",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Trains one run."""
    # Before torch is imported, which reads it once.
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    from launch import config, plan, session
    from launch import run as running

    label = "+".join([args.agent, *args.block])
    suite = plan.load(args.suite)
    wanted = config.resolve(
        suite, label, args.game, args.seed,
        frames=args.frames, backend=args.backend, sets=args.sets,
    )  # fmt: skip
    options = session.Options(
        root=Path.cwd(),
        out=args.out,
        threads=args.threads,
        workers=_cores() if args.workers is None else args.workers,
        device=args.device,
        checkpoint_every_s=args.checkpoint_every,
    )
    return running.main(wanted, suite, options, _follower(args.tracking))


def _cores() -> int:
    """Returns how many cores this process may use, which may be fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _follower(mode: str) -> Callable[[Path], None]:
    def start(folder: Path) -> None:
        if mode == "auto":
            from launch import tracking

            tracking.follower(folder, Path.cwd())

    return start


def _evaluate(verbs: Verbs) -> None:
    sub = verb(
        verbs, evaluate, "evaluate", "play episodes with a run's agent beside random play",
        "The run may still be going on: nothing of it is touched, its newest checkpoint plays.\n"
        "The result is also kept in RUN/evaluations/. Equal seeds give equal results.\n\n"
        "  reverie evaluate runs/demo/ppo/pong/0 --episodes 50 --greedy\n"
        "  reverie evaluate runs/demo/ppo/pong/0 --weights best --seed 1",
    )  # fmt: skip
    sub.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    sub.add_argument("--episodes", type=positive, default=50, help="default 50")
    _how(sub)
    sub.add_argument("--seed", type=natural, default=0, help="of the evaluation (default 0)")
    sub.add_argument(
        "--workers", type=natural, help="of the environments; changes nothing but the speed"
    )


def evaluate(args: argparse.Namespace) -> int:
    """Evaluates a run, beside measured random play."""
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    from launch import measure

    text = measure.main(
        args.run, episodes=args.episodes, policy=args.policy, weights=args.weights, seed=args.seed,
        device=args.device, workers=_cores() if args.workers is None else args.workers,
    )  # fmt: skip
    print(text)
    return 0


def _how(sub: argparse.ArgumentParser) -> None:
    """Adds what evaluate and play have in common."""
    how = sub.add_mutually_exclusive_group()
    how.add_argument(
        "--sampled", dest="policy", action="store_const", const="sampled",
        help="draw actions from the policy (default)",
    )  # fmt: skip
    how.add_argument(
        "--greedy", dest="policy", action="store_const", const="greedy", help="the likeliest action"
    )
    sub.set_defaults(policy="sampled")
    sub.add_argument(
        "--weights", choices=("final", "best", "latest"),
        help="best: of the suite's evaluations; latest: of the newest checkpoint (default: final, "
        "or latest while the run has not finished)",
    )  # fmt: skip
    sub.add_argument(
        "--threads", type=positive, default=1, help="of the agent on the CPU (default 1)"
    )
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default auto)")


def _play(verbs: Verbs) -> None:
    sub = verb(
        verbs, play, "play", "show a run's agent playing, as a video or in a window",
        "Every frame of the emulator is shown, in its colours, at 60 frames a second; the agent\n"
        "sees what its view says. Games are whole; short ones follow each other for 10 seconds.\n\n"
        "  reverie play runs/demo/ppo/pong/0\n"
        "  reverie play runs/demo/ppo/pong/0 --window --greedy",
    )  # fmt: skip
    sub.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    where = sub.add_mutually_exclusive_group()
    where.add_argument(
        "--out", type=Path, metavar="FILE", help="the video (default RUN/media/play.mp4)"
    )
    where.add_argument("--window", action="store_true", help="a window instead; needs a screen")
    _how(sub)
    sub.add_argument("--seed", type=natural, default=0, help="of the game played (default 0)")
    sub.add_argument(
        "--max-frames", type=positive, default=18_000, help="default 18000, which are 5 minutes"
    )


def play(args: argparse.Namespace) -> int:
    """Plays for people to watch."""
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    from launch import play as playing

    text = playing.main(
        args.run, out=args.out, window=args.window, policy=args.policy, weights=args.weights,
        seed=args.seed, device=args.device, most=args.max_frames,
    )  # fmt: skip
    print(text)
    return 0


def _dream(verbs: Verbs) -> None:
    sub = verb(
        verbs, dream, "dream", "show what a run's world model sees, expects and dreams",
        "The agent plays four games of its suite's task; the model is shown their last rows.\n\n"
        "  open_loop.mp4       what happened, what the model imagined after 5 images, the error\n"
        "  reconstruction.png  images as they were, and as the model saw them\n"
        "  dream.gif, .mp4     the agent playing in its model, from where the games were left\n\n"
        "The run may still be going on: its newest checkpoint dreams.\n\n"
        "  reverie dream runs/atari100k/dreamerv3/pong/0\n"
        "  reverie dream runs/atari100k/dreamerv3/pong/0 --weights best --steps 200 --seed 1",
    )  # fmt: skip
    sub.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    sub.add_argument("--out", type=Path, metavar="DIR", help="of the files (default RUN/media)")
    _how(sub)
    sub.add_argument("--steps", type=positive, default=45, help="imagined (default 45)")
    sub.add_argument("--seed", type=natural, default=0, help="of games and dreams (default 0)")


def dream(args: argparse.Namespace) -> int:
    """Shows a world model."""
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    from launch import dream as dreaming

    text = dreaming.main(
        args.run, out=args.out, weights=args.weights, steps=args.steps, seed=args.seed,
        device=args.device, policy=args.policy,
    )  # fmt: skip
    print(text)
    return 0


def _suites(verbs: Verbs) -> None:
    sub = verb(verbs, list_suites, "suites", "list the suites, or show one in full")
    sub.add_argument("suite", nargs="?", help="name of a suite")


def list_suites(args: argparse.Namespace) -> None:
    """Lists suites."""
    from launch import listing

    print(listing.suites(args.suite))


def _agents(verbs: Verbs) -> None:
    sub = verb(verbs, list_agents, "agents", "list the agents, or show one in full")
    sub.add_argument("agent", nargs="?", help="name of an agent")


def list_agents(args: argparse.Namespace) -> None:
    """Lists agents."""
    from launch import listing

    print(listing.agents(args.agent))


def _report(verbs: Verbs) -> None:
    sub = verb(verbs, report, "report", "make a suite's tables, figures and report.html")
    sub.add_argument("suite", help="name of a suite")
    sub.add_argument("--agents", type=labels, help="labels, comma between")
    sub.add_argument(
        "--partial", action="store_true", help="with what there is; says what is missing and why"
    )


def report(args: argparse.Namespace) -> None:
    """Makes a report."""
    import suites
    from analysis import report as making

    root = Path.cwd()
    suite = suites.load(args.suite)
    print(making.build(suite, root / "results", root / "runs", args.partial, args.agents))


def _sync(verbs: Verbs) -> None:
    sub = verb(verbs, sync, "sync", "bring run files to MLflow; what is there is left alone")
    sub.add_argument("targets", nargs="*", help="suites or run folders (default: all of runs/)")
    sub.add_argument("--follow", action="store_true", help="go on until interrupted")


def sync(args: argparse.Namespace) -> int:
    """Syncs MLflow."""
    from launch import tracking

    return tracking.main(args)


def _export(verbs: Verbs) -> None:
    sub = verb(verbs, export, "export", "write a run's metrics for another program")
    sub.add_argument("run", type=Path, help="a run folder")
    sub.add_argument("--tensorboard", action="store_true", required=True)
    sub.add_argument("--out", type=Path, help="folder (default RUN/tensorboard)")


def export(args: argparse.Namespace) -> None:
    """Exports a run."""
    from launch import export as exporting

    print(exporting.tensorboard(args.run, args.out))


if __name__ == "__main__":
    sys.exit(main())
