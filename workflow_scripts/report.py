"""Write the report."""

from __future__ import annotations

import json
from pathlib import Path

from _setup import parser, running


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--config", required=True, help="JSON: the whole configuration")
    arguments.add_argument("--results", type=Path, required=True, help="folder of all results")
    arguments.add_argument("--out", type=Path, required=True, help="page to write")
    args = arguments.parse_args()
    with running(args.log):
        from ecgpipe.report.build import build

        from ecgpipe.config import validate

        build(validate(json.loads(args.config)), args.results, args.out)


if __name__ == "__main__":
    main()
