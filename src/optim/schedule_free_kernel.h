/* The move of Schedule-Free methods on a tile; included once per element type. */

/* d: the direction; old z in, new z out. */
RV_INLINE void RV_FN(rv_sf_move_tile)(const rv_tile *t, RV_REAL *z, const RV_REAL *d, const rv_sf_move *move)
{
    const RV_REAL mix = (RV_REAL)move->mix, back = (RV_REAL)move->back, eta = (RV_REAL)move->eta;
    RV_EACH (i, t->n) {
        const RV_REAL y = t->w[i];
        t->out[i] = y + mix * (z[i] - y) + back * d[i];
        z[i] -= eta * d[i];
    }
}
