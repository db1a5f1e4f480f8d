// What index.html does: the probabilities of the text that is typed, likeliest class first.

const state = document.getElementById("state"), typed = document.getElementById("typed");
const rows = document.getElementById("rows");
const cell = (row, content) => row.insertCell().append(content);

let ort;
try {
  ort = await import("./ort.wasm.min.mjs");
} catch {
  state.textContent = "onnxruntime-web is missing here: copy ort.wasm.min.mjs, ort-wasm-simd-threaded.mjs and " +
    "ort-wasm-simd-threaded.wasm from the folder dist of that npm package to this folder.";
}

if (ort)
  try {
    const { Student } = await import("./classify.mjs");
    const student = await Student.load(ort, "./model.onnx");
    // One text at a time; what was typed meanwhile is read after it.
    let working = false, wanted = null;
    const show = async () => {
      wanted = typed.value;
      if (working) return;
      working = true;
      while (wanted !== null) {
        const text = wanted;
        wanted = null;
        const [probs] = await student.probs([text]);
        const shown = document.createElement("tbody");
        for (const [share, name] of probs.map((share, place) => [share, student.classNames[place]]).sort((a, b) => b[0] - a[0])) {
          const row = shown.insertRow(), bar = document.createElement("progress");
          Object.assign(bar, { max: 1, value: share, ariaLabel: name });
          cell(row, name), cell(row, bar), cell(row, share.toFixed(4));
        }
        rows.replaceChildren(...shown.rows);
      }
      working = false;
    };
    typed.addEventListener("input", show);
    typed.disabled = false;
    state.textContent = "Everything is computed in this page; no text leaves it." + (student.checked ? "" :
      " (model.onnx has the right size; its SHA-256 is compared on https and localhost alone.)");
    await show();
  } catch (error) {
    state.textContent = `The student cannot be loaded: ${error.message}`;
  }
