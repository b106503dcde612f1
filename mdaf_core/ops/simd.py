"""Vectors of 64 numbers for numba kernels: the compiler's own vectoriser gives up where loops touch many arrays.

`load(array, i)` reads 64 neighbours of a flat contiguous array, `store(array, i, v)` writes them; `fill(x)` repeats a
number; + - * / work lane by lane, a product and a sum contract to one instruction where the machine has it. 64 float32
are four registers of AVX-512 and eight of AVX2: LLVM cuts them as the machine needs, and has as many independent
instructions to keep it busy. `load_quarter` and `fill_quarter` make vectors of 16, for kernels that keep many sums.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.extending import lower_builtin
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, models, overload, register_model

LANES = 64
QUARTER = 16
LOG2_E, LN_2 = math.log2(math.e), math.log(2.0)
_I32 = ir.IntType(32)


class Vector(types.Type):
    """Numba's type of 64, or so many, float32 or float64."""

    def __init__(self, dtype: types.Float, lanes: int = LANES):
        super().__init__(name=f"Vector({dtype}, {lanes})")
        self.dtype, self.lanes = dtype, lanes

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(ir.FloatType() if self.dtype == types.float32 else ir.DoubleType(), self.lanes)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Vector):
        super().__init__(dmm, fe_type, fe_type.llvm)


def _place(context: Any, builder: Any, array_type: Any, array: Any, index: Any, vector: Vector) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vector.llvm.as_pointer())


def _loader(array: Any, lanes: int) -> Any:
    vector = Vector(array.dtype, lanes)

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        place = _place(context, builder, sig.args[0], args[0], args[1], vector)
        return builder.load(place, align=array.dtype.bitwidth // 8)

    return vector(array, types.intp), codegen


@intrinsic
def load(typingctx, array, index):  # type: ignore[no-untyped-def]
    """The 64 numbers from `index` on; there must be so many."""
    return _loader(array, LANES)


@intrinsic
def load_quarter(typingctx, array, index):  # type: ignore[no-untyped-def]
    """The 16 numbers from `index` on."""
    return _loader(array, QUARTER)


@intrinsic
def store(typingctx, array, index, values):  # type: ignore[no-untyped-def]
    """Write the 64 numbers to `index` and behind it."""

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        place = _place(context, builder, sig.args[0], args[0], args[1], values)
        builder.store(args[2], place, align=values.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, values), codegen


def _splat(builder: Any, vector: ir.VectorType, number: Any) -> Any:
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.Constant(_I32, 0))
    nowhere = ir.Constant(vector, ir.Undefined)
    return builder.shuffle_vector(one, nowhere, ir.Constant(ir.VectorType(_I32, vector.count), [0] * vector.count))


@intrinsic
def fill(typingctx, number):  # type: ignore[no-untyped-def]
    """64 times the same number."""
    vector = Vector(number)
    return vector(number), lambda context, builder, sig, args: _splat(builder, vector.llvm, args[0])


@intrinsic
def fill_quarter(typingctx, number):  # type: ignore[no-untyped-def]
    """16 times the same number."""
    vector = Vector(number, QUARTER)
    return vector(number), lambda context, builder, sig, args: _splat(builder, vector.llvm, args[0])


@intrinsic
def maximum(typingctx, a, b):  # type: ignore[no-untyped-def]
    """The larger of each pair."""

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[0], args[1])

    return a(a, b), codegen


@intrinsic
def where_positive(typingctx, gate, values):  # type: ignore[no-untyped-def]
    """`values` where `gate` is above zero (or no number), else 0: the slope of a ReLU whose result is `gate`."""

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        zero = ir.Constant(values.llvm, [0.0] * values.lanes)
        return builder.select(builder.fcmp_unordered(">", args[0], zero), args[1], zero)

    return values(gate, values), codegen


@intrinsic
def surviving(typingctx, values, places, offset, second, limit, scale):  # type: ignore[no-untyped-def]
    """Dropout of 64 numbers: times `scale` where the hash of place and seed is at least `limit`, else 0.

    The hash is `dropout.hash32(dropout.hash32(places[lane] + offset) ^ second)`, of an array and a number of uint32.
    """
    whole = ir.VectorType(_I32, LANES)

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        def constant(number: int) -> Any:
            return ir.Constant(whole, [number] * LANES)

        def hashed(x: Any) -> Any:
            for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
                x = builder.mul(builder.xor(x, builder.lshr(x, constant(shift))), constant(factor))
            return builder.xor(x, builder.lshr(x, constant(16)))

        data = context.make_array(sig.args[1])(context, builder, args[1]).data
        x = builder.load(builder.bitcast(data, whole.as_pointer()), align=4)
        x = hashed(builder.add(x, _splat(builder, whole, args[2])))
        x = hashed(builder.xor(x, _splat(builder, whole, args[3])))
        kept = builder.icmp_unsigned(">=", x, _splat(builder, whole, args[4]))
        larger = builder.fmul(args[0], _splat(builder, values.llvm, args[5]))
        return builder.select(kept, larger, ir.Constant(values.llvm, [0.0] * LANES))

    return values(values, places, types.uint32, types.uint32, types.uint32, values.dtype), codegen


def sigmoid(x):  # type: ignore[no-untyped-def]
    """1 / (1 + e^-x), lane by lane."""
    raise NotImplementedError("in compiled code only")


@overload(sigmoid, inline="always")
def _sigmoid(x):  # type: ignore[no-untyped-def]
    one, minus_log2_e = (1.0, -LOG2_E) if x.dtype == types.float64 else (np.float32(1.0), np.float32(-LOG2_E))
    return lambda x: fill(one) / (fill(one) + exp2(fill(minus_log2_e) * x))


@intrinsic
def total(typingctx, values):  # type: ignore[no-untyped-def]
    """The sum of a vector's numbers."""

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        parts = [args[0]]
        width = values.lanes
        while width > 1:  # halves onto each other
            width //= 2
            low, high = (
                builder.shuffle_vector(
                    parts[-1],
                    ir.Constant(parts[-1].type, ir.Undefined),
                    ir.Constant(ir.VectorType(_I32, width), list(range(at, at + width))),
                )
                for at in (0, width)
            )
            parts.append(builder.fadd(low, high))
        return builder.extract_element(parts[-1], ir.Constant(_I32, 0))

    return values.dtype(values), codegen


def _shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    """Lanes of a, and from its number of lanes on of b."""
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, len(lanes)), lanes))


@intrinsic
def add_totals(typingctx, array, index, a, b, c, d):  # type: ignore[no-untyped-def]
    """Adds the sums of four quarter vectors to the four numbers from `index` on."""

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        def halves(x: Any, y: Any, width: int) -> Any:
            """Pieces of `width` lanes, of x and then of y, with their second half added to their first."""
            first = [lane for lane in range(2 * QUARTER) if lane % width < width // 2]
            second = [lane + width // 2 for lane in first]
            return builder.fadd(_shuffle(builder, x, y, first), _shuffle(builder, x, y, second))

        x = halves(halves(args[2], args[3], 16), halves(args[4], args[5], 16), 8)
        for step in (2, 1):
            x = builder.fadd(x, _shuffle(builder, x, x, [lane ^ step for lane in range(QUARTER)]))
        sums = _shuffle(builder, x, x, [0, 4, 8, 12])
        place = _place(context, builder, sig.args[0], args[0], args[1], Vector(array.dtype, 4))
        align = array.dtype.bitwidth // 8
        builder.store(builder.fadd(builder.load(place, align=align), sums), place, align=align)
        return context.get_dummy_value()

    return types.void(array, types.intp, a, b, c, d), codegen


@intrinsic
def turn_square(typingctx, source, begin, step, target, place, target_step):  # type: ignore[no-untyped-def]
    """A square of 16 × 16 numbers turned: target[place + i · target_step + j] = source[begin + j · step + i]."""
    vector, intp = Vector(source.dtype, QUARTER), types.intp

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        align = source.dtype.bitwidth // 8

        def at(side: int, i: int) -> Any:
            moved = builder.mul(args[3 * side + 2], ir.Constant(args[1].type, i))
            index = builder.add(args[3 * side + 1], moved)
            return _place(context, builder, sig.args[3 * side], args[3 * side], index, vector)

        rows = [builder.load(at(0, i), align=align) for i in range(QUARTER)]
        for size in (8, 4, 2, 1):  # squares of this size off the diagonal change places
            first = [lane if not lane & size else lane - size + QUARTER for lane in range(QUARTER)]
            second = [lane + size if not lane & size else lane + QUARTER for lane in range(QUARTER)]
            for i in range(QUARTER):
                if not i & size:
                    upper, lower = rows[i], rows[i + size]
                    rows[i] = _shuffle(builder, upper, lower, first)
                    rows[i + size] = _shuffle(builder, upper, lower, second)
        for i, row in enumerate(rows):
            builder.store(row, at(1, i), align=align)
        return context.get_dummy_value()

    return types.void(source, intp, intp, target, intp, intp), codegen


def _arithmetic(operation: Callable[..., Any], instruction: str) -> None:
    @infer_global(operation)
    class _Typing(AbstractTemplate):  # type: ignore[misc]
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], Vector) and args[0] == args[1]:
                return signature(args[0], *args)
            return None

    @lower_builtin(operation, Vector, Vector)
    def _lower(context, builder, sig, args):  # type: ignore[no-untyped-def]
        return getattr(builder, instruction)(*args, flags=("contract",))


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_operation, _instruction)

# 2^r ≈ 1 + r q(r) on [-1/2, 1/2], q of degree 4 with the least largest relative error: 9.2e-8.
_COEFFICIENTS = (0.6931469776, 0.2402224208, 0.0555073374, 0.0096715132, 0.0013264729)
LOWEST, HIGHEST = -125.0, 126.0


def _series(builder: Any, r: Any, vector: ir.VectorType) -> Any:
    """2^r on [-1/2, 1/2]."""
    p, *others = (ir.Constant(vector, [_single(c)] * vector.count) for c in (*reversed(_COEFFICIENTS), 1.0))
    for coefficient in others:
        p = _multiply_add(builder, p, r, coefficient)
    return p


def _exp2_quarter(builder: Any, x: Any) -> Any:
    """2^x of 16 float32 by VREDUCEPS (x less the nearest whole number) and VSCALEFPS (times a power of 2)."""
    part = x.type
    every, current = ir.Constant(ir.IntType(16), -1), ir.Constant(_I32, 4)  # lanes; way of rounding: as it is set

    def instruct(name: str, first: Any, second: Any) -> Any:
        kind = ir.FunctionType(part, [part, second.type, part, every.type, _I32])
        code = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.avx512.mask.{name}.ps.512")
        return builder.call(code, [first, second, first, every, current])

    r = instruct("reduce", x, ir.Constant(_I32, 0))
    return instruct("scalef", _series(builder, r, part), builder.fsub(x, r))


def _has_avx512(context: Any) -> bool:
    """Whether code is made for AVX-512 with its "DQ" instructions, as numba was told or found."""
    made_for = context.codegen().magic_tuple()[2].split(",")
    return {"+avx512f", "+avx512dq"} <= set(made_for)


@intrinsic
def exp2(typingctx, values):  # type: ignore[no-untyped-def]
    """2^x, lane by lane. In float32 the relative error is below 2e-7; NaN stays NaN.

    With AVX-512 two instructions take x apart and put the exponent back, which saves a forward scan a third of its
    time; elsewhere x is limited to [-125, 126].
    """

    def single(context, builder, sig, args):  # type: ignore[no-untyped-def]
        whole = ir.VectorType(_I32, LANES)

        def constant(number: float) -> Any:
            return ir.Constant(values.llvm, [number] * LANES)

        x = args[0]
        if _has_avx512(context):
            parts = [_shuffle(builder, x, x, [*range(q, q + QUARTER)]) for q in range(0, LANES, QUARTER)]
            quarters = [_exp2_quarter(builder, part) for part in parts]
            first, second = (_shuffle(builder, quarters[i], quarters[i + 1], [*range(2 * QUARTER)]) for i in (0, 2))
            return _shuffle(builder, first, second, [*range(LANES)])
        low, high = constant(LOWEST), constant(HIGHEST)
        x = builder.select(builder.fcmp_ordered(">", low, x), low, x)
        x = builder.select(builder.fcmp_ordered("<", high, x), high, x)
        k = _call(builder, "llvm.rint", x, values)
        r = builder.fsub(x, k)
        p = _series(builder, r, values.llvm)
        exponent = builder.shl(builder.fptosi(k, whole), ir.Constant(whole, [23] * LANES))
        return builder.bitcast(builder.add(builder.bitcast(p, whole), exponent), values.llvm)

    def double(context, builder, sig, args):  # type: ignore[no-untyped-def]
        return _call(builder, "llvm.exp2", args[0], values)

    return values(values), single if values.dtype == types.float32 else double


@intrinsic
def softplus(typingctx, values):  # type: ignore[no-untyped-def]
    """log(1 + e^x), lane by lane, with a relative error of a few units of the last place; NaN stays NaN.

    max(x, 0) + log1p(e^-|x|), and log1p(y) = 2 artanh(s) with s = y / (2 + y) in [0, 1/3], by its series.
    """
    terms = 8 if values.dtype == types.float32 else 18
    exp2_type, exp2_code = exp2._defn(typingctx, values)

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        def constant(number: float) -> Any:
            number = _single(number) if values.dtype == types.float32 else number
            return ir.Constant(values.llvm, [number] * LANES)

        x, zero = args[0], constant(0.0)
        positive = builder.fcmp_ordered(">", x, zero)
        minus = builder.select(positive, builder.fneg(x), x)
        y = exp2_code(context, builder, exp2_type, [builder.fmul(minus, constant(LOG2_E))])
        s = builder.fdiv(y, builder.fadd(y, constant(2.0)))
        square = builder.fmul(s, s)
        series = constant(2.0 / (2 * terms - 1))
        for k in range(terms - 2, -1, -1):
            series = _multiply_add(builder, series, square, constant(2.0 / (2 * k + 1)))
        return _multiply_add(builder, series, s, builder.select(positive, x, zero))

    return values(values), codegen


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return builder.fadd(builder.fmul(a, b, flags=("contract",)), c, flags=("contract",))


def _call(builder: Any, name: str, argument: Any, vector: Vector) -> Any:
    kind = ir.FunctionType(vector.llvm, [vector.llvm])
    name = f"{name}.v{LANES}f{vector.dtype.bitwidth}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [argument])


def _single(number: float) -> float:
    """The nearest float32, as LLVM's text form of constants wants it."""
    return float(np.float32(number))


_FLUSH = 0x8040
"""Of x86's register of how floats behave: numbers too small to be normal are read, and come out, as zero."""


def _is_x86(context: Any) -> bool:
    return str(context.codegen().magic_tuple()[0]).startswith("x86_64")


@intrinsic
def flush_subnormals(typingctx):  # type: ignore[no-untyped-def]
    """From here on numbers too small to be normal are zero; what was before, for `restore_subnormals`.

    Intel's processors take some 150 cycles for each instruction that meets one: of states that decay there are many.
    Each thread has such a setting. On other processors nothing happens.
    """

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        before = cgutils.alloca_once_value(builder, ir.Constant(_I32, 0))
        if _is_x86(context):
            _control(builder, "stmxcsr", before)
            after = cgutils.alloca_once(builder, _I32)
            builder.store(builder.or_(builder.load(before), ir.Constant(_I32, _FLUSH)), after)
            _control(builder, "ldmxcsr", after)
        return builder.load(before)

    return types.int32(), codegen


@intrinsic
def restore_subnormals(typingctx, before):  # type: ignore[no-untyped-def]
    """As it was when `flush_subnormals` returned `before`."""

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        if _is_x86(context):
            _control(builder, "ldmxcsr", cgutils.alloca_once_value(builder, args[0]))
        return context.get_dummy_value()

    return types.void(types.int32), codegen


def _control(builder: Any, instruction: str, place: Any) -> None:
    pointer = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer])
    code = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{instruction}")
    builder.call(code, [builder.bitcast(place, pointer)])


@numba.njit
def workspace(size, like):  # type: ignore[no-untyped-def]
    """`size` numbers as an array's, not set, from the beginning of a cache line on.

    np.empty's begin at any 32 bytes: of AVX-512's vectors every one would lie across two lines.
    """
    line = 64
    numbers = np.empty(size + line // like.itemsize, like.dtype)
    begin = -numbers.ctypes.data % line // like.itemsize
    return numbers[begin : begin + size]


@numba.njit
def dot(x, at, y, to, size):  # type: ignore[no-untyped-def]
    """Sum of the products of `size` numbers, whole vectors, from `at` in x and `to` in y."""
    products = load(x, at) * load(y, to)
    for d in range(LANES, size, LANES):
        products = products + load(x, at + d) * load(y, to + d)
    return total(products)
