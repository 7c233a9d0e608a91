package payments

import (
	"testing"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/stretchr/testify/require"
)

func TestTheLadderOfChecksHasAnEnd(t *testing.T) {
	const day = 24 * time.Hour
	begun := time.Date(2026, 3, 10, 9, 0, 0, 0, time.UTC)
	open := []state.AttemptStatus{state.Created, state.Pending}
	ended := []state.AttemptStatus{state.AttemptExpired, state.AttemptCancelled, state.AttemptFailed}
	for _, c := range []struct {
		statuses []state.AttemptStatus
		age      time.Duration
		closes   time.Duration // of the page, after the beginning; 0: the acquirer does not say
		next     time.Duration // 0: the ladder's end
	}{
		{open, 0, 0, firstCheck},
		{open, sessionLife - 1, 0, firstCheck},
		{open, sessionLife, 0, time.Hour},
		{open, 10 * time.Minute, 5 * time.Minute, time.Hour},
		{open, 40 * time.Minute, 50 * time.Minute, firstCheck},
		{open, sessionLife, 30 * day, time.Hour},
		{open, day, 0, day},
		{open, checksFor, 0, day},
		{open, checksFor + 1, 0, 0},
		{open, checksFor + 1, time.Hour, 0},
		{open, checksFor + 1, 30 * day, day},
		{open, 30 * day, 30 * day, 0},
		{ended, 0, 0, time.Hour},
		{ended, day, 0, day},
		{ended, checksFor, 0, day},
		{ended, checksFor + 1, 0, 0},
		{ended, checksFor + 1, 30 * day, 0},
		{[]state.AttemptStatus{state.Authorized}, 0, 0, firstCheck},
		{[]state.AttemptStatus{state.Authorized}, time.Hour - 1, 0, firstCheck},
		{[]state.AttemptStatus{state.Authorized}, time.Hour, 0, time.Hour},
		{[]state.AttemptStatus{state.Authorized}, checksFor + 1, 0, day},
		{[]state.AttemptStatus{state.Authorized}, holdWatched - 1, 0, day},
		{[]state.AttemptStatus{state.Authorized}, holdWatched, 0, 0},
		{[]state.AttemptStatus{state.AttemptPaid}, 0, 0, 0},
		{[]state.AttemptStatus{state.AttemptPaid}, holdWatched, 30 * day, 0},
	} {
		for _, status := range c.statuses {
			a, now := Attempt{Status: status, CreatedAt: begun}, begun.Add(c.age)
			if c.closes > 0 {
				at := begun.Add(c.closes)
				a.Deadline = &at
			}
			next, again := nextCheck(a, now)
			require.Equal(t, c.next > 0, again, "%s after %s", status, c.age)
			if again {
				require.Equal(t, c.next, next.Sub(now), "%s after %s", status, c.age)
			} else {
				require.Zero(t, next)
			}
		}
	}
}
