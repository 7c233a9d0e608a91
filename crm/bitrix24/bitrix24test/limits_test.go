package bitrix24test

import (
	"testing"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestStandardPlanRefusesTheFiftyFirstRequestAndDrainsTwoPerSecond(t *testing.T) {
	w := newWorld(t)
	token, refused := w.admin(), 0
	for range 60 {
		if status, out := w.call(token, "server.time", nil); status == 503 {
			require.Equal(t, "QUERY_LIMIT_EXCEEDED", out["error"])
			refused++
		}
	}
	require.InDelta(t, 10, refused, 3)
	w.portal.Control.Clock.Advance(2 * time.Second)
	accepted := 0
	for range 6 {
		if status, _ := w.call(token, "server.time", nil); status == 200 {
			accepted++
		}
	}
	require.GreaterOrEqual(t, accepted, 4)
	counts := w.portal.Control.Limits.Snapshot()
	require.Equal(t, 66, counts.Accepted+counts.Rejected)
	require.GreaterOrEqual(t, counts.Rejected, refused)

	status, _ := w.control("plan", `{"plan":"enterprise"}`)
	require.Equal(t, 200, status)
	status, _ = w.call(token, "server.time", nil)
	require.Equal(t, 200, status, "an Enterprise portal has room for 250")
}

func TestPortalsHaveTheirOwnBuckets(t *testing.T) {
	w := newWorld(t)
	for range 60 {
		w.call(w.admin(), "server.time", nil)
	}
	other := w.server.Portal("other.bitrix24.com").TokenFor("1").Access
	status, _ := w.answer(w.client.Get("https://other.bitrix24.com/rest/server.time?auth=" + other))
	require.Equal(t, 200, status)
}

func TestThrottleFaultAnswersAsTheRealLimit(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.portal.Control.Order(standintest.Fault{Kind: standintest.Throttle}))
	status, out := w.call(w.admin(), "profile", nil)
	require.Equal(t, 503, status)
	require.Equal(t, "QUERY_LIMIT_EXCEEDED", out["error"])
	status, _ = w.call(w.admin(), "profile", nil)
	require.Equal(t, 200, status)
}

func TestExecutionTimeBlocksOneMethodUntilItsBasketLeaves(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	w.portal.SetCost("crm.item.list", 200*time.Second)
	list := func() (int, map[string]any) { return w.call(token, "crm.item.list", map[string]any{"entityTypeId": 2}) }
	var last map[string]any
	for range 3 { // 600 s: the call after which the sum is over the limit still runs
		status, out := list()
		require.Equal(t, 200, status)
		last = out["time"].(map[string]any)
	}
	require.Contains(t, last, "operating_reset_at")
	status, out := list()
	require.Equal(t, 429, status)
	require.Equal(t, "OPERATION_TIME_LIMIT", out["error"])
	w.ok(token, "crm.item.get", map[string]any{"entityTypeId": 2, "id": 1})
	inBatch := w.batch(token, 0, "a", "crm.item.list?entityTypeId=2")
	require.Equal(t, "OPERATION_TIME_LIMIT", inBatch["result_error"].(map[string]any)["a"].(map[string]any)["error"])
	w.portal.Control.Clock.Advance(10*time.Minute - 30*time.Second)
	status, _ = list()
	require.Equal(t, 429, status)
	w.portal.Control.Clock.Advance(31 * time.Second)
	fresh := w.portal.TokenFor("1").Access
	w.ok(fresh, "crm.item.list", map[string]any{"entityTypeId": 2})
}

// TestBucketNeverAdmitsMoreThanItsFormula: over any stretch, at most X plus Y per second.
func TestBucketNeverAdmitsMoreThanItsFormula(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		plan := rapid.SampledFrom([]Plan{Standard, Enterprise}).Draw(r, "plan")
		drain, size := plan.limits()
		b, start := bucket{}, time.Unix(1_700_000_000, 0)
		now, admitted := start, 0
		for _, gap := range rapid.SliceOfN(rapid.IntRange(0, 1500), 1, 300).Draw(r, "gaps") {
			now = now.Add(time.Duration(gap) * time.Millisecond)
			if b.admit(now, plan) {
				admitted++
			}
			require.LessOrEqual(r, float64(admitted), size+drain*now.Sub(start).Seconds()+1e-6)
		}
	})
}
