"""`overproof serve`: a student behind HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from overproof.commands.output.terminal import (
    AllowImport,
    AsJson,
    Calibrate,
    CalibrateGroup,
    CalibrateLabel,
    Confidence,
    Risk,
    check_risk,
    print_json,
    quick_imports,
    remarks,
)
from overproof.commands.predict import chosen
from overproof.errors import InputError


def serve(
    student: Annotated[
        Path, typer.Argument(help="Folder of an export, of a run, or of a student such as RUN/students/seed-0/slam.")
    ],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0 for one that is free.")] = 8000,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="COLUMN",
            help="Column of the texts in rows; by default that of the training data. Repeated for a text that is "
            "joined of several columns.",
        ),
    ] = None,
    max_rows: Annotated[int, typer.Option(help="Most texts or rows in one request.")] = 1024,
    max_bytes: Annotated[int, typer.Option(help="Most bytes in the body of one request.")] = 4194304,
    max_waiting: Annotated[
        int, typer.Option(help="Most requests that are answered or wait at a time; the next gets status 503.")
    ] = 256,
    risk: Risk = None,
    confidence: Confidence = 0.95,
    calibrate: Calibrate = None,
    label: CalibrateLabel = None,
    group: CalibrateGroup = None,
    allow_import: AllowImport = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Answer requests over HTTP as predict does: POST /predict, GET /health, GET /metrics.

    Example:
        overproof serve exported --port 8000
    """
    import socket
    from dataclasses import replace

    with quick_imports():
        from overproof.deployment.serving import Answerer, Limits, need_server
        from overproof.deployment.serving import serve as serve_forever
        from overproof.models import load_student
        from overproof.models.saved.data_columns import columns_of

    need_server()
    check_risk(risk, calibrate, label, group)
    limits = Limits(rows=max_rows, num_bytes=max_bytes, waiting=max_waiting)
    if not 0 <= port < 2**16:
        raise InputError(f"--port is {port}; 0 to 65535 are allowed.")
    student = chosen(student, calibrate is not None)
    loaded, columns = load_student(student, allow_import=allow_import), columns_of(student)
    if column:
        columns = replace(columns, input=tuple(column))
    answerer = Answerer(student=loaded, columns=columns, limits=limits)
    if risk is not None:
        from overproof.data import Source
        from overproof.deployment.calibration_examples import choose_abstention

        withheld = None
        if calibrate is not None:
            withheld = Source(
                path=calibrate,
                kind=loaded.kind,
                input=answerer.inputs or None,
                label=label,
                group=group,
                missing=answerer.missing,
            )
        abstention, left_out = choose_abstention(
            loaded, student, withheld, risk=risk, confidence=confidence, new_gaps=False
        )
        answerer = replace(answerer, abstention=abstention)
        for sentence in (abstention.sentence(), *left_out.sentences()):
            remarks().print(sentence, soft_wrap=True)
    try:
        bound = socket.create_server((host, port))
        # The event loop sends answers at once (TCP_NODELAY) only on sockets that name their protocol: 40 ms otherwise.
        listening = socket.socket(bound.family, bound.type, socket.IPPROTO_TCP, fileno=bound.detach())
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"--host {host!r} with --port {port} cannot be listened at ({why}); choose others.") from None
    with listening:
        address = f"http://{host}:{listening.getsockname()[1]}"
        if as_json:
            print_json({"address": address, **answerer.about()})
        remarks().print(f"Serving {loaded.spec.name!r} at {address}; Ctrl-C stops.", soft_wrap=True)
        serve_forever(answerer, listening)
