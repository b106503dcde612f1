"""Pages are drawn sooner: four places of Streamlit's browser half are changed as it is served.

It fetches the code of each kind of element (charts, tables, boxes to choose from) when the first of it is to be shown.
Until that is there React shows a placeholder, and what replaces one it holds back until half a second after the last:
kinds that arrive one after the other wait one after the other. So what pages are made of is fetched while the browser
has nothing else to do: on a page of charts and tables while the server works on it, on others once they are drawn.

Of the first page they are named in its head (`links`).

And it interprets the expressions of charts, as for an app that shows what others wrote. Those of this app are its own,
with names of data in them only as JSON strings: compiled, a chart is drawn in two thirds of the time.

It lays every chart out a second time, for those that get their data once they stand there. Ours come with theirs. And
it draws all charts of a page before the browser answers again: now texts and tables stand first, charts come one by
one, and those below the window's edge when it has nothing else to do, in a place kept for them.

A Streamlit whose scripts read otherwise is left as it is.
"""

from __future__ import annotations

import re
from pathlib import Path

KINDS = (
    b"Html", b"Button", b"ButtonGroup", b"Selectbox", b"Multiselect", b"TextInput", b"NumberInput", b"Checkbox",
    b"Slider", b"PageLink", b"Metric", b"DownloadButton", b"ArrowVegaLiteChart", b"DataFrame",
)  # fmt: skip
"""Of elements, as their scripts are called, in the order in which they are fetched."""
LAZY = re.compile(rb"([\w$]+)=\(0,[\w$]+\.lazy\)\(\(\)=>[\w$]+\(\(\)=>import\(`\./((\w+)\.[\w-]+\.js)`\)")
"""A component that is fetched when it is first drawn: the variable that holds it, its script, what that is called."""
IMPORTED = re.compile(rb"(?:from|import)\"\./([\w.-]+\.js)\"")
DRAWN = b"compare|curves|data|export|gates|run|tuning"
"""Pages of charts and tables."""
FETCH = (
    b";(function fetch(){const {testConnectionState:line,testScriptState:script}="
    b"document.querySelector(`[data-testid=stApp]`)?.dataset??{},drawn=/\\/(" + DRAWN + b")$/.test(location.pathname);"
    b"line===`CONNECTED`&&(drawn||script===`notRunning`)?[%s].forEach(kind=>"
    b"(!drawn&&window.requestIdleCallback||setTimeout)(()=>{try{kind._init(kind._payload)}catch{}})"
    b"):setTimeout(fetch,20)})();"
)
"""`_init` is React's own step: it throws what it waits for."""
INTERPRETED, COMPILED = b"{ast:!0,expr:", b"{ast:!1,expr:"
LAID_OUT_AGAIN = b"||(await E.resize().runAsync(),D()))"
LAID_OUT_AGAIN_WITH_DATA = b"||(O&&await E.resize().runAsync(),D()))"
"""`O` is the data that came beside a chart and was put into it."""
_DRAW = b"Q.current={width:Me.current.width,height:Me.current.height},"
AT_ONCE = b"(0,L.useLayoutEffect)(()=>(P.current!==null&&Ne&&(" + _DRAW + b"ye(P,je.current)),()=>{xe()}),"
IN_TURN = (
    b"(0,L.useLayoutEffect)(()=>{let instead;return P.current!==null&&Ne&&("
    + _DRAW
    + b"instead=inTurn(P.current,je.current,()=>ye(P,je.current))),()=>{instead?.(),xe()}},"
)
"""`ye` draws the chart into the element `P`, `xe` takes it away; `je` is its specification."""
TURNS = (
    b";const placesOfCharts=new Map;function inTurn(place,spec,draw){"
    b"if(typeof spec.height!=`number`||!window.requestIdleCallback)return void draw();"
    b"const looks=JSON.stringify([place.clientWidth,{...spec,data:0,datasets:0,config:0,params:0}]),"
    b'guess=spec.height+(looks.includes(`"legend":{`)?98:48);'
    b"const free=()=>{place.style.minHeight=``},"
    b"drawn=()=>{free(),placesOfCharts.size>200&&placesOfCharts.clear(),placesOfCharts.set(looks,place.offsetHeight)},"
    b"go=()=>Promise.resolve(draw()).then(drawn,free);"
    b"place.style.minHeight=`${placesOfCharts.get(looks)??guess}px`;"
    b"const seen=place.getBoundingClientRect().top<window.innerHeight;"
    b"const turn=seen?setTimeout(go):requestIdleCallback(go,{timeout:2e3});"
    b"return()=>{(seen?clearTimeout:cancelIdleCallback)(turn),free()}}"
)
"""The place is as high as a chart that looked like this was when it was drawn, or else 48 pixels higher than its plot
(an axis and its title) and with a legend 50 more (its title and a line, or two lines)."""
CHARTS = {INTERPRETED: COMPILED, LAID_OUT_AGAIN: LAID_OUT_AGAIN_WITH_DATA, AT_ONCE: IN_TURN}


def patched(script: bytes) -> bytes:
    """A script of Streamlit's browser half as it is to be served."""
    if all(script.count(theirs) == 1 for theirs in CHARTS):
        for theirs, ours in CHARTS.items():
            script = script.replace(theirs, ours)
        return script + TURNS
    lazy = {name: variable for variable, _, name in LAZY.findall(script)}
    wanted = [lazy[name] for name in KINDS if name in lazy]
    return script + FETCH % b",".join(wanted) if wanted else script


def is_drawn(path: str) -> bool:
    """Whether it is the address of a page of charts and tables."""
    return path.rpartition("/")[2].encode() in DRAWN.split(b"|")


def links(scripts: Path) -> bytes:
    """Tags by which a page of charts and tables asks for their scripts, and what those import, before its own run:
    while the server has nothing else to do, and after what the page needs to begin.

    Args:
        scripts: Streamlit's folder of them.
    """
    found: dict[str, None] = {}

    def follow(name: str) -> None:
        if name not in found:
            found[name] = None
            for imported in IMPORTED.findall((scripts / name).read_bytes()):
                follow(imported.decode())

    for first in scripts.glob("index.*.js"):
        follow(first.name)
    there = list(found)  # the page itself names those
    for name in there:
        for _, script, kind in LAZY.findall((scripts / name).read_bytes()):
            if kind in KINDS:
                follow(script.decode())
    tag = '<link rel="modulepreload" fetchpriority="low" crossorigin href="./static/js/%s">'
    return "".join(tag % name for name in list(found)[len(there) :]).encode()
