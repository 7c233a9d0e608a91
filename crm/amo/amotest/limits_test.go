package amotest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm/amo/amotest"
	"github.com/dealpay/dealpay/tenants/standintest"
)

func (f *fixture) burst(n int) (ok, refused int, last result) {
	token := f.account.TokenFor(amotest.AdminID)
	for range n {
		if last = f.do(token, "GET", f.url("/api/v4/account"), ""); last.status == http.StatusOK {
			ok++
		} else {
			refused++
		}
	}
	return ok, refused, last
}

func TestSevenRequestsASecondAreCounted(t *testing.T) {
	for _, v := range []amotest.Variant{amotest.AmoCRM, amotest.Kommo} {
		f := start(t, v, nil)
		ok, refused, last := f.burst(10)
		require.Equal(t, 7, ok, v.Name)
		require.Equal(t, 3, refused)
		require.Equal(t, http.StatusTooManyRequests, last.status)
		if v.PerIP {
			require.EqualValues(t, 1, last.body["retry_after"])
		} else {
			require.Contains(t, last.raw, "nginx")
		}
		snap := f.account.Control.Limits.Snapshot()
		require.Equal(t, 7, snap.Accepted)
		require.Equal(t, 3, snap.Rejected)
		f.second()
		ok, _, _ = f.burst(7)
		require.Equal(t, 7, ok, "the next second is free again")
	}
}

func TestStrangersTakeFromTheAccountsFifty(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	f.account.Switch(func(s *amotest.Switches) { s.Strangers = 48 })
	ok, _, _ := f.burst(5)
	require.Equal(t, 2, ok)
}

func TestTenSecondsOfExcessBlockTheAccount(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	rounds := 0
	last := result{}
	for ; last.status != http.StatusForbidden; rounds++ { // the clock runs, too: a slow machine leaves seconds out
		require.Less(t, rounds, 100)
		_, _, last = f.burst(16)
		f.second()
	}
	require.GreaterOrEqual(t, rounds, 10)
	require.Contains(t, last.raw, "<h1>403 Forbidden</h1>")
	f.account.Control.Clock.Advance(11 * time.Minute)
	ok, _, _ := f.burst(1)
	require.Equal(t, 1, ok, "the block ends")
}

func TestThrottleFaultAnswersAsTheProductDoes(t *testing.T) {
	f := start(t, amotest.Kommo, nil)
	f.account.Switch(func(s *amotest.Switches) { s.RetryAfter = 300 })
	require.NoError(t, f.account.Control.Order(standintest.Fault{Kind: standintest.Throttle}))
	got := f.api("GET", "account", "")
	require.Equal(t, http.StatusTooManyRequests, got.status)
	require.EqualValues(t, 300, got.body["retry_after"])
	require.NoError(t, f.account.Control.Order(standintest.Fault{Kind: standintest.HTMLError}))
	require.Equal(t, http.StatusForbidden, f.api("GET", "account", "").status)
}

func TestDroppedAnswerWasStillCommitted(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	require.NoError(t, f.account.Control.Order(standintest.Fault{Kind: standintest.DropAfterCommit, Match: "PATCH /api/v4/leads"}))
	req, _ := http.NewRequestWithContext(t.Context(), "PATCH", f.url("/api/v4/leads/1"), jsonBody(`{"price":777}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+f.account.TokenFor(amotest.AdminID))
	_, err := f.RoundTrip(req)
	require.Error(t, err)
	require.Equal(t, "777.00", f.account.Deal("1").Amount)
}

func TestRevokeFaultEndsTokens(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	token := f.account.TokenFor(amotest.AdminID)
	require.NoError(t, f.account.Control.Order(standintest.Fault{Kind: standintest.Revoke}))
	require.Equal(t, http.StatusUnauthorized, f.do(token, "GET", f.url("/api/v4/account"), "").status)
}
