"""Loops over codes, compiled by LLVM for the processor that they run on.

FAISS scans RaBitQ codes, too; these loops take a third of its time and less: they add bytes where a bit says so, ask a
filter and look for scattered codes in the same pass, and keep what they find without a heap (docs/adr/0016 has the
measurements). One is compiled when it is first needed, in some hundredths of a second.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from search.types import Matrix, Scores, Vector
from search.vectors.codes import LEVELS, WORD, Asked, Codes, Estimates, Wanted

AT_ONCE = 127 // LEVELS
"""So many weights, one of each word, are added up in a byte."""
AHEAD = 64
SCATTERED_AHEAD = 32
"""So many codes before its turn, one is fetched: processors do not look beyond a page by themselves."""
BLOCK = 512
"""So many places are asked for their bits before the codes of the wanted ones are compared."""
ROWS_AHEAD = 2
LINE = 64
"""Bytes that are fetched together."""
ROOM = 4
"""Room for so many times as many as are asked for, before the worse ones are dropped."""

BIT, BYTE, INT, LONG = (ir.IntType(bits) for bits in (1, 8, 32, 64))
HALF, FLOAT = ir.HalfType(), ir.FloatType()
BYTES = ir.VectorType(BYTE, WORD)
POINTER = ir.PointerType()

Array = NDArray[Any]
Native = Callable[..., int]


def scanned(
    codes: Codes,
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    asked: Asked,
    count: int,
    wanted: Wanted,
    rows: NDArray[np.int64] | None = None,
) -> Estimates:
    """Return those of some codes with the greatest estimates, by their places, in any order.

    ``starts`` and ``sizes``: what is looked at, in runs of places; ``rows``: which row is meant by a place, where
    ``wanted`` is not about the places themselves.
    """
    filtered = len(wanted.bits) > 0
    scan = _scan(len(asked.weights), filtered, filtered and rows is not None)
    told = (_at(codes if rows is None else rows), _at(wanted.bits), 8 * len(wanted.bits), wanted.shift)
    runs = (_at(starts), _at(sizes), len(starts))
    return _best(scan, count, int(sizes.sum()), asked, codes, (*runs, *told) if filtered else runs)


def picked(codes: Codes, places: NDArray[np.int32], asked: Asked, count: int) -> Estimates:
    """Return those of the codes at some places with the greatest estimates, by their number there, in any order."""
    return _best(_pick(len(asked.weights)), count, len(places), asked, codes, (_at(places), len(places), len(codes)))


def dots(table: NDArray[Any], vector: Vector) -> Scores:
    """Return the inner product of a vector with each row of a table, which is in single precision or as `narrowed`."""
    table, vector = np.ascontiguousarray(table), np.ascontiguousarray(vector, np.float32)
    found = np.empty(len(table), np.float32)
    _dots(table.dtype == np.float16)(_at(table), len(table), table.shape[1], _at(vector), _at(found))
    return found


def narrowed(table: Matrix) -> NDArray[Any]:
    """Return a table in half precision, where the processor reads that as quickly: fetching it is what takes time."""
    return table.astype(np.float16) if widens_halves() else table


def half_dots(table: NDArray[np.float16], rows: NDArray[np.int32], vector: Vector) -> Scores:
    """Return the inner product of a vector with each of some rows of a table in half precision."""
    vector = np.ascontiguousarray(vector, np.float32)
    found = np.empty(len(rows), np.float32)
    _half_dots()(_at(table), table.shape[1], _at(rows), len(rows), _at(vector), _at(found))
    return found


@functools.cache
def widens_halves() -> bool:
    """Return whether the processor has an instruction for it. Those of PCs have, but for the very old."""
    features = llvm.get_host_cpu_features()
    return bool(features.get("f16c", "x86" not in llvm.get_process_triple()))


def compile_all(words: int) -> None:
    """Have everything compiled that codes of so many words need."""
    _dots(False)
    if widens_halves():
        _dots(True)
        _half_dots()
    _pick(words)
    for filtered, told in ((False, False), (True, False), (True, True)):
        _scan(words, filtered, told)


def _best(loop: Native, count: int, most: int, asked: Asked, codes: Codes, others: tuple[int, ...]) -> Estimates:
    """Return the best that a loop finds: it stops when there is no more room, and goes on where it was.

    ``most``: how many codes it looks at, at most.
    """
    weights = np.ascontiguousarray(asked.weights)
    room = min(ROOM * count, most + 1)
    found, scores = np.empty(room, np.int64), np.empty(room, np.float32)
    reached = np.zeros(2, np.int64)
    fixed = (_at(codes), _at(weights), asked.base, asked.scale, asked.shift)
    size, least = 0, np.float32(-np.inf)
    while True:
        size = loop(*fixed, *others, _at(reached), least, _at(found), _at(scores), size, room)
        if size > count:
            best = np.argpartition(scores[:size], size - count)[size - count :]
            found[:count], scores[:count] = found[best], scores[best]
        if size < room:
            return found[: min(size, count)], scores[: min(size, count)]
        size, least = count, scores[:count].min()


def _at(array: Array) -> int:
    assert array.flags.c_contiguous  # noqa: S101 (the loops step from one element to the next)
    return int(array.__array_interface__["data"][0])


def _once(compile_: Callable[..., Native]) -> Callable[..., Native]:
    """Compile each variant once, whichever thread comes first."""
    kept = functools.cache(compile_)

    def once(*variant: Any) -> Native:
        with _compiling:
            return kept(*variant)

    return once


_compiling = threading.RLock()


@_once
def _scan(words: int, filtered: bool, told: bool) -> Native:
    """Compile the loop over runs of places.

    ``filtered``: whether it asks for a bit; ``told``: whether that is the bit of the row that is told for a place.
    """
    runs = {"starts": POINTER, "sizes": POINTER, "runs": LONG}
    bits = {"rows": POINTER, "bits": POINTER, "many": LONG, "shift_by": LONG}
    code = _Code(f"scan_{words}_{filtered:d}{told:d}", {**_ASKED, **runs, **(bits if filtered else {}), **_KEPT})
    begun = code.element("reached", LONG(0), LONG)
    passed = code.element("reached", LONG(1), LONG)
    with code.each(begun, code["runs"]) as run:
        start, size = (code.element(name, run, LONG) for name in ("starts", "sizes"))
        first = code.add(start, code.select(code.icmp_signed("==", run, begun), passed, LONG(0)))
        last = code.add(start, size)
        if filtered:
            with code.each(first, last, BLOCK) as block:
                found = code.chosen(block, code.smaller(code.add(block, LONG(BLOCK)), last), told)
                with code.each(LONG(0), found) as number:
                    later = code.smaller(code.add(number, LONG(SCATTERED_AHEAD)), code.sub(found, LONG(1)))
                    code.fetch_code(words, code.listed(later))
                    place = code.listed(number)
                    code.consider(words, place, place, (run, code.sub(code.add(place, LONG(1)), start)))
        else:
            with code.each(first, last) as place:
                code.fetch_code(words, code.add(place, LONG(AHEAD)))  # beyond the end of all: nobody reads it
                code.consider(words, place, place, (run, code.sub(code.add(place, LONG(1)), start)))
    return code.compiled()


@_once
def _pick(words: int) -> Native:
    """Compile the loop over listed places."""
    code = _Code(f"pick_{words}", {**_ASKED, "places": POINTER, "many": LONG, "total": LONG, **_KEPT})
    last = code.sub(code["many"], LONG(1))
    with code.each(code.element("reached", LONG(0), LONG), code["many"]) as number:
        later = code.smaller(code.add(number, LONG(SCATTERED_AHEAD)), last)
        code.fetch_code(words, code.sext(code.element("places", later, INT), LONG))
        place = code.sext(code.element("places", number, INT), LONG)
        with code.if_then(code.icmp_unsigned("<", place, code["total"])):
            code.consider(words, number, place, (code.add(number, LONG(1)), LONG(0)))
    return code.compiled()


@_once
def _dots(half: bool) -> Native:
    """Compile the loop over the rows of a table."""
    code = _Code(f"dots_{half:d}", {"table": POINTER, "rows": LONG, "dim": LONG, "vector": POINTER, "found": POINTER})
    with code.each(LONG(0), code["rows"]) as row:
        code.put("found", row, code.dot(row, HALF if half else FLOAT))
    return code.compiled()


@_once
def _half_dots() -> Native:
    """Compile the loop over some rows of a table in half precision."""
    arguments = {"table": POINTER, "dim": LONG, "rows": POINTER, "many": LONG, "vector": POINTER, "found": POINTER}
    code = _Code("half_dots", arguments)
    last = code.sub(code["many"], LONG(1))
    with code.each(LONG(0), code["many"]) as number:
        later = code.smaller(code.add(number, LONG(ROWS_AHEAD)), last)
        start = code.mul(code.sext(code.element("rows", later, INT), LONG), code["dim"])
        with code.each(LONG(0), code.udiv(code["dim"], LONG(LINE // 2))) as line:
            code.fetch(code.gep(code["table"], [code.add(start, code.mul(line, LONG(LINE // 2)))], source_etype=HALF))
        code.put("found", number, code.dot(code.sext(code.element("rows", number, INT), LONG), HALF))
    return code.compiled()


_ASKED = {"codes": POINTER, "weights": POINTER, "base": FLOAT, "scale": FLOAT, "shift": FLOAT}
_KEPT = {"reached": POINTER, "least": FLOAT, "found": POINTER, "scores": POINTER, "size": LONG, "room": LONG}
_NATIVE = {POINTER: ctypes.c_void_p, LONG: ctypes.c_int64, FLOAT: ctypes.c_float}


class _Code(ir.IRBuilder):  # type: ignore[misc]
    """One function while it is written; it returns ``size``, where it has that."""

    def __init__(self, name: str, arguments: dict[str, ir.Type]) -> None:
        self._function = ir.Function(ir.Module(), ir.FunctionType(LONG, list(arguments.values())), name)
        self._arguments = dict(zip(arguments, self._function.args, strict=True))
        super().__init__(self._function.append_basic_block())
        self._size = self.alloca(LONG)
        self.store(self._arguments.get("size", LONG(0)), self._size)
        self._total = self.alloca(FLOAT)
        self._count, self._listed = self.alloca(LONG), self.alloca(LONG, size=BLOCK)
        self._weights: list[ir.Value] = []

    def __getitem__(self, name: str) -> ir.Value:
        return self._arguments[name]

    def element(self, name: str, number: ir.Value, kind: ir.Type) -> ir.Value:
        """Write that an element of an array is read."""
        return self.load(self.gep(self[name], [number], source_etype=kind), typ=kind)

    def put(self, name: str, number: ir.Value, value: ir.Value) -> None:
        """Write that an element of an array is written to."""
        self.store(value, self.gep(self[name], [number], source_etype=value.type))

    @contextmanager
    def each(self, first: ir.Value, last: ir.Value, step: int = 1) -> Iterator[ir.Value]:
        """Write that what follows is done for each number, or for one in so many, from the first to before the last."""
        before, head = self.block, self.append_basic_block()
        self.branch(head)
        self.position_at_end(head)
        number = self.phi(LONG)
        number.add_incoming(first, before)
        body, end = self.append_basic_block(), self.append_basic_block()
        self.cbranch(self.icmp_signed("<", number, last), body, end)
        self.position_at_end(body)
        yield number
        number.add_incoming(self.add(number, LONG(step)), self.block)
        self.branch(head)
        self.position_at_end(end)

    def smaller(self, one: ir.Value, other: ir.Value) -> ir.Value:
        return self.select(self.icmp_signed("<", one, other), one, other)

    def chosen(self, first: ir.Value, last: ir.Value, told: bool) -> ir.Value:
        """Write that the wanted of at most `BLOCK` places are listed; return how many they are.

        Without a branch, which a processor would guess wrongly as often as rightly.
        """
        count = self._count
        self.store(LONG(0), count)
        with self.each(first, last) as place:
            row = self.element("rows", place, LONG) if told else place
            bit = self.add(row, self["shift_by"])
            inside = self.icmp_unsigned("<", bit, self["many"])
            bit = self.select(inside, bit, LONG(0))
            byte = self.zext(self.element("bits", self.lshr(bit, LONG(3)), BYTE), LONG)
            one = self.and_(self.lshr(byte, self.and_(bit, LONG(7))), self.zext(inside, LONG))
            found = self.load(count, typ=LONG)
            self.store(place, self.gep(self._listed, [found], source_etype=LONG))
            self.store(self.add(found, one), count)
        return self.load(count, typ=LONG)

    def listed(self, number: ir.Value) -> ir.Value:
        return self.load(self.gep(self._listed, [number], source_etype=LONG), typ=LONG)

    def consider(self, words: int, number: ir.Value, place: ir.Value, reached: tuple[ir.Value, ir.Value]) -> None:
        """Write that a number is kept if the code at a place has a better estimate than the least that counts.

        ``reached``: where to go on from if there is no more room then.
        """
        start = self._code(words, place)
        offset, factor = (
            self.load(self.gep(start, [LONG(2 * words + one)], source_etype=FLOAT), typ=FLOAT) for one in (0, 1)
        )
        total = self.sitofp(self._sum_where_set(words, start), FLOAT)
        about = self.fsub(self.fmul(self["scale"], total), self["shift"])
        score = self.fsub(self["base"], self.fmul(FLOAT(0.5), offset))
        score = self.fadd(score, self.fmul(factor, about))
        with self.if_then(self.fcmp_ordered(">", score, self["least"]), likely=False):
            size = self.load(self._size, typ=LONG)
            self.put("found", size, number)
            self.put("scores", size, score)
            size = self.add(size, LONG(1))
            self.store(size, self._size)
            with self.if_then(self.icmp_signed("==", size, self["room"]), likely=False):
                for at, value in enumerate(reached):
                    self.put("reached", LONG(at), value)
                self.ret(size)

    def dot(self, row: ir.Value, kind: ir.Type) -> ir.Value:
        """Write the inner product of a row of the table with the vector."""
        total = self._total
        self.store(FLOAT(0), total)
        first = self.mul(row, self["dim"])
        with self.each(LONG(0), self["dim"]) as column:
            one = self.element("table", self.add(first, column), kind)
            one = one if kind is FLOAT else self.fpext(one, FLOAT)
            product = self.fmul(one, self.element("vector", column, FLOAT), flags=("fast",))
            # In any order, so that several columns are added side by side.
            self.store(self.fadd(self.load(total, typ=FLOAT), product, flags=("fast",)), total)
        return self.load(total, typ=FLOAT)

    def _code(self, words: int, place: ir.Value) -> ir.Value:
        return self.gep(self["codes"], [self.mul(place, LONG(8 * words + 8))], source_etype=BYTE)

    def _sum_where_set(self, words: int, start: ir.Value) -> ir.Value:
        """Write the sum of the weights of those dimensions whose bit is set.

        64 bytes are added under the 64 bits of a word: that is one instruction with AVX-512, and LLVM has a way for
        other processors.
        """
        total = INT(0)
        nothing = ir.Constant(BYTES, [0] * WORD)
        for first in range(0, words, AT_ONCE):
            sums = ir.Constant(BYTES, [-128] * WORD)  # so that they are above nothing, and one instruction adds them up
            for word in range(first, min(first + AT_ONCE, words)):
                bits = self.load(self.gep(start, [LONG(word)], source_etype=LONG), typ=LONG)
                chosen = self.bitcast(bits, ir.VectorType(BIT, WORD))
                sums = self.add(sums, self.select(chosen, self._weight(word), nothing))
            wide = ir.VectorType(INT, WORD)
            add = self._intrinsic(f"llvm.vector.reduce.add.v{WORD}i32", INT, [wide])
            total = self.add(total, self.call(add, [self.zext(sums, wide)]))
            total = self.sub(total, INT(128 * WORD))
        return total

    def _weight(self, word: int) -> ir.Value:
        """Return 64 weights, which are read before all loops."""
        while len(self._weights) <= word:
            with self.goto_entry_block():
                where = self.gep(self["weights"], [LONG(len(self._weights))], source_etype=BYTES)
                self._weights.append(self.load(where, typ=BYTES, align=1))
        return self._weights[word]

    def fetch_code(self, words: int, place: ir.Value) -> None:
        """Write that the code at a place is brought into the cache: the line of its beginning, and that of its end."""
        start = self._code(words, place)
        self.fetch(start)
        self.fetch(self.gep(start, [LONG(8 * words + 7)], source_etype=BYTE))

    def fetch(self, where: ir.Value) -> None:
        """Write that a line of memory is brought into the cache."""
        fetch = self._intrinsic("llvm.prefetch.p0", ir.VoidType(), [POINTER, INT, INT, INT])
        self.call(fetch, [where, INT(0), INT(3), INT(1)])  # to be read, and again, of data

    def _intrinsic(self, name: str, result: ir.Type, arguments: list[ir.Type]) -> ir.Function:
        there = self.module.globals.get(name)
        return there or ir.Function(self.module, ir.FunctionType(result, arguments), name)

    def compiled(self) -> Native:
        """Return the function. Other Python threads run while it does."""
        self.ret(self.load(self._size, typ=LONG))
        engine, machine = _compiler()
        module = llvm.parse_assembly(str(self.module))
        options = llvm.PipelineTuningOptions(speed_level=3)
        options.loop_vectorization = options.slp_vectorization = True
        passes = llvm.create_pass_builder(machine, options)
        passes.getModulePassManager().run(module, passes)
        engine.add_module(module)
        engine.finalize_object()
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, *(_NATIVE[one.type] for one in self._function.args))
        return kind(engine.get_function_address(self._function.name))


@functools.cache
def _compiler() -> tuple[Any, Any]:
    """Return the one engine of this process, and the machine that it compiles for."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    here = {"cpu": llvm.get_host_cpu_name(), "features": llvm.get_host_cpu_features().flatten()}
    machine = target.create_target_machine(**here, opt=3, jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine), target.create_target_machine(**here, opt=3)
