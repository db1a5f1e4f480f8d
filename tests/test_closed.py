"""Every place of the package that imports by name, evaluates, loads, unpacks, or joins a path from a name.

Each is listed with the reason why nothing in a received file can run or lead elsewhere there; a new one fails the test.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "overproof"

BUILT_IN = {"eval", "exec", "compile", "__import__", "open"}
CALLS = re.compile(
    r"(import_module|find_spec|spec_from_file_location|exec_module|run_path|run_module|entry_points|pydoc\.locate|resolve_name"
    r"|imported|allowing"
    r"|torch\.load|np\.load|numpy\.load|load_file|memmap|open_memmap|fromfile|literal_eval"
    r"|safetensors\.torch\.load|skops\.io\.loads?|yaml\.\w*load\w*|pickle\.\w+|joblib\.\w+"
    r"|from_pretrained|for_model|AutoModel\w*\.from_config|Tokenizer\.from_\w+|InferenceSession|register_custom_ops\w*"
    r"|ZipFile|TarFile|tarfile\.open|extract|extractall|unpack_archive|GzipFile|gzip\.open|gzip\.decompress"
    r"|input_stream|CompressedInputStream|memory_map|ParquetFile|pq\.read_table|ipc\.open_\w+|Image\.open"
    r"|CDLL|Popen|subprocess\.\w+|os\.system|os\.popen|os\.exec\w*)$"
)
FOLDERS = re.compile(r"folder|path|home|place|parent|Path\(|root", re.IGNORECASE)

PLACES: dict[str, dict[str, str]] = {
    "__init__.py": {"__getattr__": "names of the package's own table of modules"},
    "api.py": {"distill.answer_fold": "an argument of the call", "self_distill": "an argument of the call"},
    "answers/cell_values.py": {"value_in": "a literal, which runs nothing"},
    "answers/tables.py": {
        "_read": "the file that the user names; Parquet is data",
        "_arrow": "the file that the user names; Arrow is data",
    },
    "commands/init.py": {"init": "paths that the user has typed"},
    "commands/run.py": {"run": "paths that the user has typed"},
    "commands/output/json_output.py": {"answers_as_json": "a seed and a number"},
    "data/find_files.py": {
        "_somewhere": "a top-level package is found, not imported; the file is the user's own option",
    },
    "data/on_disk.py": {"read_on_disk": "the name is a digest"},
    "data/preview.py": {"_shape": "a header without objects", "_in_archive": "names in an archive, and headers"},
    "data/readers/arrays.py": {"_npy_array": "allow_pickle=False"},
    "data/readers/arrow_files.py": {
        "ArrowRows.num_rows": "the file that was found",
        "ArrowRows.tables": "the file that was found",
        "open_arrow": "the file that was found",
        "schema_of": "the file that was found",
        "_opened": "Arrow is data",
        "open_parquet": "Parquet is data",
    },
    "data/readers/csv_stream.py": {"_Watched.__init__": "the file that was found, piece by piece"},
    "data/readers/data_set.py": {"files_of": "the name has no folder in it"},
    "data/readers/database.py": {"_sqlite": "a constant beside the file that was found"},
    "data/readers/image_sets.py": {
        "read_cifar": "the file that was found, as bytes of records",
        "read_stl": "the files that were found, as bytes",
    },
    "data/readers/images.py": {
        "_pixels": "six formats, the limit of Pillow on pixels is an error",
        "ImageFolder.file": "checked to be below the folder",
    },
    "data/readers/mds.py": {
        "shards_of": "the name has no folder in it",
        "read_mds": "a constant beside the file that was found; encodings that run no code",
        "_unpacked": "so many bytes at most as the index says, below the limit",
    },
    "data/readers/npz.py": {
        "headers_of": "headers alone",
        "load_arrays": "allow_pickle=False, arrays that are asked for, below the limit",
    },
    "data/readers/text_files.py": {
        "file_bytes": "below the limit of unpacked bytes",
        "first_lines": "so many bytes at most",
    },
    "data/readers/web_dataset.py": {"_samples": "the file that was found; nothing is unpacked to the disk"},
    "deployment/annotate.py": {"pool_probs": "an argument of the call"},
    "deployment/__init__.py": {"__getattr__": "names of the package's own table of modules"},
    "deployment/estimator_graph.py": {"add_estimator": "a constant"},
    "deployment/folder.py": {"_exported": "constants"},
    "deployment/graph.py": {"graph_logits": "the graph that was just made", "need_onnx": "constants"},
    "deployment/own_module.py": {"add_own_module": "a constant"},
    "deployment/predictions_file.py": {"table_writer": "a field of Arrow, not a path"},
    "deployment/provenance.py": {"student_folder": "a row that the user names, among those that are there"},
    "deployment/score.py": {
        "": "the file of texts that the user names",
        "Scorer.__init__": "the graph beside it, without custom operators",
    },
    "deployment/serving.py": {"need_server": "constants"},
    "deployment/web.py": {"runtime_files": "constants, in the folder that the user names; it is copied, not run"},
    "linear/plot.py": {"plot_imitation": "a quotient of numbers"},
    "models/frozen/texts.py": {
        "minilm": "constants",
        "embedder_by_name": "`imported` refuses what the user has not named",
        "_folder": "a constant",
    },
    "models/encoding_cache.py": {
        "EncodingCache.encode": "the name is a digest",
        "EncodingCache._name": "the name is a digest",
    },
    "models/estimator.py": {
        "EstimatorBody.__init__": "a constant",
        "EstimatorBody.num_numbers": "allow_pickle=False",
        "archived": "the archive that was just made",
        "opened": "types that skops, scikit-learn's classifiers and the user trust",
    },
    "models/frozen/graphs.py": {"backend_here": "constants", "_session": "a graph of the package's own module"},
    "models/frozen/images.py": {
        "efficientnet_lite0": "constants",
        "frozen_encoder": "`imported` refuses what the user has not named",
        "_lite0": "the file of an installed package, weights_only",
    },
    "models/importing.py": {
        "_find": "a module that the user allows, in the working folder or that of a file that was typed",
        "imported": "the one import by name: `KNOWN`, or named by the user",
    },
    "models/ngrams.py": {"_compiled_or_numpy": "a constant"},
    "models/student.py": {
        "Student.encode": "the paths that the user allowed for this student",
        "Student.fresh": "the paths that the user allowed for this student",
        "build": "an argument of the call",
    },
    "models/tensor_files.py": {"read_tensors": "safetensors is data"},
    "models/saved/student_folder.py": {
        "load_student": "an argument of the call",
        "_loaded": "safetensors is data; names are constants",
    },
    "models/saved/seen_rows.py": {"SeenRows._content": "bytes of Parquet, which is data"},
    "models/transformer.py": {
        "Transformer.__init__": "a model type of the library; `check_config` refuses code and other models",
        "_tokenizer": "data in JSON",
        "_file": "constants below the user's own option",
    },
    "models/zoo.py": {"_factory": "`imported` refuses what the user has not named"},
    "report/run_report.py": {"_costs": "a row of the table and a seed, sizes of files alone"},
    "runs/people/disagreements.py": {"disagreements": "an argument of the call"},
    "runs/people/sampling.py": {
        "draw": "an argument of the call",
        "judged_by": "an argument of the call; a number",
    },
    "runs/comparison.py": {
        "_compare": "made of a student's name without slashes and a number",
        "_compare.opened": "made of a student's name without slashes and a number",
    },
    "runs/changes.py": {"read_yaml": "safe_load"},
    "runs/folder/result_file.py": {"result_files": "constants", "remove_result": "constants"},
    "runs/folder/resume.py": {
        "holds_run": "constants",
        "holds_work": "constants",
        "student_folder": "`check_file_name` has checked the row",
    },
    "runs/folder/steps.py": {"working_on": "what the user named for the call"},
    "runs/inputs/content.py": {"check_content": "`imported` refuses what the user has not named"},
    "runs/inputs/files.py": {"_of_source": "constants"},
    "runs/pipeline.py": {
        "Run.seed_roles": "an argument of the call",
        "Run.verify_inputs": "what the user named for the call",
    },
    "runs/plan.py": {"dry_run": "an argument of the call"},
    "runs/part.py": {"Part.folds": "a number"},
    "runs/scorer_answers.py": {
        "ScorerAnswers._of_whole": "a seed and a number",
        "ScorerAnswers.home": "a seed",
        "ScorerAnswers._other_stores": "a seed and a number",
        "ScorerAnswers._shared_pool": "a seed and a number",
    },
    "runs/students.py": {"Students.train": "a seed"},
    "runs/teacher_answers.py": {"TeacherAnswers._opened": "a number"},
    "answers/tools/numbers.py": {"read_array": "`allow_pickle=False`, and a check of type and shape"},
    "runs/asking/teacher.py": {"ask_teacher": "the names are digests"},
    "runs/asking/next_rows.py": {"draw_next": "paths that the user has named"},
    "teachers/elsewhere.py": {
        "OpenedElsewhere.__call__": "what the user named for the command, sent by its process",
        "OpenedElsewhere.__call__.probs": "what the user named for the command, sent by its process",
    },
    "teachers/endpoint/client.py": {"need_client": "a constant"},
    "storage/arrays.py": {
        "_write": "names of the package",
        "opened": "`_read` has checked names and types",
        "_note": "`_read` has checked names and types",
        "_is_whole": "`_read` has checked names and types",
    },
    "storage/column_cache.py": {
        "mapped": "the name is a digest, allow_pickle=False",
        "mapped.allocate": "names of the package",
    },
    "storage/manifest.py": {
        "write_folder": "names that the package writes",
        "checked": "names of files in this folder alone: others are damage",
    },
    "storage/one_writer.py": {"writing_file": "the file that the user names"},
    "storage/shard.py": {"decode_shard": "Parquet is data"},
    "storage/store.py": {
        "fill": "an index and a key",
        "copy_from": "an index and a key",
        "_read_columns": "an index and a key",
    },
    "teachers/ask_once.py": {"ask_once.answers_of": "the roles of the package"},
    "teachers/brought/hugging_face.py": {
        "_loaded": "local files, safetensors, trust_remote_code=False",
    },
    "teachers/brought/mlflow_folder.py": {
        "_flavours": "safe_load",
        "_below": "the name is below the folder",
        "_of_transformers": "constants",
    },
    "teachers/brought/onnx_external.py": {
        "external_files": "names within the folder; only digests of them are computed",
        "_linked_away": "only where the path leads is looked at",
    },
    "teachers/brought/onnx_file.py": {"_session": "without custom operators"},
    "teachers/brought/onnx_texts.py": {"_tokenizer": "data in JSON"},
    "teachers/brought/saved_student.py": {"SavedStudentFolder.files": "constants"},
    "teachers/brought/skops_file.py": {
        "open_skops": "types that skops and the user trust",
        "_asked": "a constant",
        "_frame": "a constant",
    },
    "teachers/feature_cache.py": {"gather": "the name is a digest"},
    "teachers/keys.py": {"_network": "literals alone"},
    "teachers/trained/cross_fitted.py": {
        "cross_fitted": "the roles of the package",
        "_models.fit": "a number",
    },
    "teachers/trained/estimator.py": {
        "Estimator.fingerprint": "`imported` refuses what the user has not named",
        "made": "`imported` refuses what the user has not named",
        "EstimatorByPath.matches": "`imported` refuses what the user has not named",
    },
    "teachers/trained/sentence_folder.py": {
        "_parts": "names below the folder",
        "_loaded": "local files, safetensors, trust_remote_code=False",
    },
    "training/checkpoint.py": {"load": "weights_only"},
    "training/distillation.py": {
        "_Trainings.generation": "a number; safetensors is data",
        "_Trainings.imitation.evaluate": "a number",
    },
    "training/parallel.py": {"_alone": "the C library, and the null device"},
    "training/peer_rounds/peers.py": {
        "Peers.fingerprint_folder": "the name is a digest",
        "Peers.scored": "the roles of the package",
        "Peers._trained": "a number",
    },
    "training/search/cross_validation.py": {
        "CrossValidation._path": "the name is a digest",
    },
    "training/stored_scores.py": {"stored_scores": "safetensors is data"},
}
"""By file and function: why it is safe."""


def places(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The places of a file, each as (function, what is there)."""

    def visit(node: ast.AST, function: str) -> Iterator[tuple[str, str]]:
        for child in ast.iter_child_nodes(node):
            inner = function
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{function}.{child.name}".lstrip(".")
            if (what := _found(child)) is not None:
                yield function, f"line {child.lineno}: {what}"
            yield from visit(child, inner)

    yield from visit(tree, "")


def _found(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if called in BUILT_IN or CALLS.search(called):
            return f"{called}(...)"
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".joinpath", ".with_name")):
        return None if all(isinstance(each, ast.Constant) for each in node.args) else ast.unparse(node)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left, right = ast.unparse(node.left), node.right
        fixed = isinstance(right, ast.Constant) or (isinstance(right, ast.Name) and right.id.isupper())
        if FOLDERS.search(left) and not fixed:
            return ast.unparse(node)
    return None


def found_in(source: Path) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(source.rglob("*.py")):
        for function, what in places(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(str(path.relative_to(source)), {}).setdefault(function, []).append(what)
    return found


def test_every_place_that_uses_a_name_from_a_file_is_listed_with_its_reason():
    found = found_in(SOURCE)
    new = [
        f"{file}, {function or 'top level'}: {'; '.join(what)}"
        for file, functions in found.items()
        for function, what in functions.items()
        if function not in PLACES.get(file, {})
    ]
    assert not new, "\n".join(["list each in PLACES with the reason why a received file is harmless there:", *new])
    gone = [
        f"{file}, {function}"
        for file, known in PLACES.items()
        for function in known
        if function not in found.get(file, {})
    ]
    assert not gone, "\n".join(["no longer there:", *gone])
    assert all(len(why) > 5 for known in PLACES.values() for why in known.values())


@pytest.mark.parametrize(
    "code",
    [
        "importlib.import_module(name)",
        "import_module(config['module'])",
        "__import__(name)",
        "eval(text)",
        "exec(text)",
        "pydoc.locate(name)",
        "imported(path, what='student')",
        "with allowing(content['allow']): ...",
        "torch.load(path, weights_only=True)",
        "np.load(path)",
        "yaml.safe_load(text)",
        "pickle.loads(data)",
        "skops.io.loads(data, trusted=types)",
        "safetensors.torch.load(data)",
        "AutoModel.from_pretrained(folder)",
        "onnxruntime.InferenceSession(path)",
        "zipfile.ZipFile(path).extractall(folder)",
        "Image.open(file)",
        "subprocess.run(words)",
        "open(manifest['file'])",
        "folder / manifest['file']",
        "folder / name",
        "path.parent / f'{name}.bin'",
        "Path(entry['folder']) / entry['name']",
        "folder.joinpath(*parts)",
        "path.with_name(name)",
    ],
)
def test_a_new_place_is_found(code):
    tree = ast.parse(f"def read(*words):\n    {code}")
    assert {function for function, _ in places(tree)} == {"read"}


@pytest.mark.parametrize(
    "code", ["folder / 'result.json'", "folder / RESULT", "ratio / total", "json.loads(text)", "folder.joinpath('a')"]
)
def test_constants_and_plain_data_are_not(code):
    assert list(places(ast.parse(code))) == []
