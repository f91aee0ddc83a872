const page = document.getElementById("page"), note = document.getElementById("note"), ask = document.getElementById("ask");
let token = "", last = new Date();
try { token = sessionStorage.getItem("redpkt-token") || ""; } catch { /* The token is kept for this view only. */ }
ask.addEventListener("submit", (event) => {
  event.preventDefault();
  token = ask.elements.token.value.trim();
  try { sessionStorage.setItem("redpkt-token", token); } catch { /* As above. */ }
  look(false);
});
function say(text) { note.textContent = text; note.hidden = !text; page.classList.toggle("old", !!text); }
async function look(again) {
  if (!document.hidden) {
    try {
      const headers = token ? { Authorization: "Bearer " + token } : {};
      const answer = await fetch("/page", { headers, cache: "no-store", signal: AbortSignal.timeout(5000) });
      const text = await answer.text();
      ask.hidden = answer.status !== 401;
      if (answer.status === 401) { say(token ? "That is not the token." : "This server asks for its token."); }
      else if (!answer.ok) { throw new Error(answer.status + " " + text); }
      else { page.innerHTML = text; last = new Date(); say(""); }
    } catch (error) {
      say("No answer from the server since " + last.toLocaleTimeString() + " (" + error.message.trim() + "). What is below is what it said last.");
    }
  }
  if (again) { setTimeout(look, 1000, true); }
}
look(true);
