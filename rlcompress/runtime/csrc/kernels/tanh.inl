// The engine's tanh for any vector type V, included like epilogue.inl.

// The rational polynomial of numerics.py, operation by operation.
inline V tanh_of(V x) {
  const V c = smaller(larger(x, V::set(-9.02F)), V::set(9.02F));
  const V s = mul(c, c);
  const V p = add(mul(add(mul(V::set(2.799306e-06F), s), V::set(0.0012514247F)), s),
                  V::set(0.083333336F));
  V q = add(mul(V::set(2.8936931e-06F), s), V::set(0.0014162578F));
  q = add(mul(add(mul(q, s), V::set(0.11501708F)), s), V::set(1.0F));
  const V w = sub(c, mul(c, mul(s, div(p, q))));
  const V k = mul(V::set(0.25F), mul(w, w));
  const V one = V::set(1.0F);
  const V r = div(where_less(s, one, mul(w, k), w), add(k, one));
  return where_less(s, one, sub(w, r), r);
}
