package tasks

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/tenantstest"
)

func TestTheSweeperAddsNothingToAFullQueue(t *testing.T) {
	queue, err := NewQueue(tenantstest.Redis(t), time.Now, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	queue.System = func(context.Context, tenants.ID) (string, error) { return string(crm.Kommo), nil }
	due := func() []tenants.Reminder {
		return []tenants.Reminder{{Kind: string(outbox.Push)}, {Kind: string(outbox.Check)}, {Kind: string(outbox.Robot)}}
	}
	require.Len(t, queue.withRoom(t.Context(), due()), 3)
	waiting := make([]any, fullQueue)
	for i := range waiting {
		waiting[i] = i
	}
	require.NoError(t, queue.turns.LPush(t.Context(), "asynq:{lanes:kommo}:pending", waiting...).Err())
	left := queue.withRoom(t.Context(), due())
	require.Len(t, left, 2)
	require.Equal(t, string(outbox.Check), left[0].Kind)
}
