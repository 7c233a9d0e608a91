package state

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// golden compares got with a file of testdata. UPDATE_GOLDEN=1 writes the file, for a person to read in the diff.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestEveryPairOfAttemptStatusesIsDecided(t *testing.T) {
	var b strings.Builder
	for _, from := range AttemptStatuses {
		for _, seen := range AttemptStatuses {
			fmt.Fprintf(&b, "%-10s saw %-10s -> %s\n", from, seen, from.Join(seen))
		}
	}
	golden(t, "attempts.txt", b.String())
}

func TestEveryStatusAnswersEveryCommand(t *testing.T) {
	var b strings.Builder
	for _, status := range Statuses {
		for _, command := range Commands {
			answer, err := Decide(Picture{Status: status}, command)
			require.Equal(t, answer == Refuse, err != nil)
			if err != nil {
				require.ErrorIs(t, err, ErrRefused)
			}
			fmt.Fprintf(&b, "%-18s %-6s -> %s\n", status, command, answer)
		}
	}
	golden(t, "commands.txt", b.String())
}

func TestTheDiagramIsPrintedFromTheTables(t *testing.T) { golden(t, "states.md", Diagram()) }

func TestAnUnknownStatusChangesNothing(t *testing.T) {
	for _, s := range AttemptStatuses {
		require.Equal(t, s, s.Join("chargeback"))
		require.Equal(t, s, AttemptStatus("").Join(s))
	}
	require.Equal(t, AttemptStatus(""), AttemptStatus("").Join("chargeback"))
}

func TestOnlyBeginningsAreLive(t *testing.T) {
	for _, s := range AttemptStatuses {
		require.Equal(t, s == Created || s == Pending || s == Authorized, s.Live(), s)
	}
}

func TestMoneyStandsInTheWayOfCommands(t *testing.T) {
	for _, c := range []struct {
		name    string
		picture Picture
		command Command
		want    Answer
	}{
		{"cancelling while money is held", Picture{Status: AwaitingPayment, Authorized: true}, Cancel, Refuse},
		{"cancelling after a part was received", Picture{Status: AwaitingPayment, Paid: 400}, Cancel, Refuse},
		{"cancelling after that part went back", Picture{Status: AwaitingPayment, Paid: 400, Refunded: 400}, Cancel, Do},
		{"cancelling what expired", Picture{Status: Expired}, Cancel, Do},
		{"expiring while money is held", Picture{Status: AwaitingPayment, Authorized: true}, Expire, Ignore},
		{"paying while another attempt holds money", Picture{Status: AwaitingPayment, Authorized: true}, Pay, Do},
		{"refunding what waits for a person", Picture{Status: ManualReview, Paid: 400}, Refund, Do},
		{"a command nobody knows", Picture{Status: AwaitingPayment}, "delete", Refuse},
		{"a status nobody knows", Picture{Status: "lost"}, Pay, Refuse},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, err := Decide(c.picture, c.command)
			require.Equal(t, c.want, answer)
			require.Equal(t, c.want == Refuse, err != nil)
		})
	}
}
