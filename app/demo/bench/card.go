package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// card measures how long a manager on a slow line waits for the first status in a deal's card, in a real browser with an
// empty cache. The baseline is what the line needs for the same bytes: two round trips and their transfer.
func card(ctx context.Context, s *Site) (Result, error) {
	rounds := "7"
	if s.Quick {
		rounds = "2"
	}
	cmd := exec.CommandContext(ctx, "node", "frontend/browser/card.mjs", s.Ready, rounds)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return Result{}, fmt.Errorf("node frontend/browser/card.mjs (run it from the project's folder, after make tools): %w", err)
	}
	var seen struct {
		Value, Least float64
		Bytes, N     int
	}
	if err := json.Unmarshal(out, &seen); err != nil {
		return Result{}, fmt.Errorf("read what the browser measured: %w", err)
	}
	return Result{Value: seen.Value, Unit: "ms", Baseline: "two round trips and the transfer of the same bytes", BaselineValue: seen.Least, N: seen.N,
		Notes: fmt.Sprintf("median over three CRMs; 150 ms a round trip, 1.6 Mbit/s, a processor four times slower, %d bytes on the line", seen.Bytes)}, nil
}
