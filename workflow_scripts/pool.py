"""Unite one generator's synthetic sets of several datasets."""

from __future__ import annotations

from pathlib import Path

from _setup import parser, running


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--members", nargs="+", required=True, help="names of the datasets")
    arguments.add_argument("--samples", type=Path, required=True, help="folder that holds their synthetic sets")
    arguments.add_argument("--name", required=True, help="name of the generator")
    arguments.add_argument("--out", type=Path, required=True, help="folder of the union")
    args = arguments.parse_args()
    with running(args.log):
        from ecgpipe.sample.pool import union

        union({name: args.samples / name / args.name for name in args.members}, args.out)


if __name__ == "__main__":
    main()
