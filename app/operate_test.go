package main

import (
	"testing"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/dealpay/dealpay/tenants/tenantstest"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestTheDoctorSeesAClockThatIsWrong(t *testing.T) {
	t.Parallel()
	options, err := redis.ParseURL(tenantstest.Redis(t))
	require.NoError(t, err)
	clock, client := &standintest.Clock{}, redis.NewClient(options)
	h := &house{redis: client, now: clock.Now}
	require.NoError(t, clocks(t.Context(), h))
	for _, off := range []time.Duration{time.Minute, -time.Minute} {
		clock.Advance(off)
		require.ErrorContains(t, clocks(t.Context(), h), "differ by", off)
		clock.Reset()
	}
	require.NoError(t, client.Close())
	clock.Advance(time.Hour)
	require.NoError(t, clocks(t.Context(), h), "without Redis nothing is known, which is said elsewhere")
}
