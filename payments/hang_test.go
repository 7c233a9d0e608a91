package payments

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAnAcquirerThatHangsIsLeftAloneForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h hangs
		asked := 0
		ask := func(place string, takes time.Duration, end error) error {
			_, err := h.ask(place, func() (Observation, error) {
				asked++
				time.Sleep(takes)
				return Observation{}, end
			})
			return err
		}
		away := fmt.Errorf("%w: no answer", ErrUnavailable)
		for range mostHung + 3 { // what fails at once, or answers late, takes no places
			require.ErrorIs(t, ask("a", time.Second, away), ErrUnavailable)
			require.NoError(t, ask("b", time.Minute, nil))
		}
		require.Equal(t, 2*(mostHung+3), asked)

		asked = 0
		for range mostHung {
			require.ErrorIs(t, ask("a", 20*time.Second, away), away)
		}
		for range 100 {
			require.ErrorIs(t, ask("a", 20*time.Second, away), ErrUnavailable)
		}
		require.Equal(t, mostHung, asked)
		require.NoError(t, ask("b", 0, nil), "others are asked")

		asked = 0
		time.Sleep(hungFor + time.Second)
		require.ErrorIs(t, ask("a", 20*time.Second, away), away, "one finds out")
		require.ErrorIs(t, ask("a", 0, nil), ErrUnavailable)
		time.Sleep(hungFor + time.Second)
		for range 3 {
			require.NoError(t, ask("a", 0, nil))
		}
		require.Equal(t, 4, asked)
	})
}
