package state

import (
	"fmt"
	"strings"
)

// Diagram prints the attempt table as a Mermaid state diagram, and the command table as Markdown. The documentation's
// copies are compared with it.
func Diagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n  [*] --> created\n")
	for _, from := range AttemptStatuses {
		for i, seen := range AttemptStatuses {
			if to := attemptTable[from][i]; to != from {
				fmt.Fprintf(&b, "  %s --> %s\n", from, seen)
			}
		}
	}
	b.WriteString("```\n\n| invoice is |")
	for _, c := range Commands {
		fmt.Fprintf(&b, " %s |", c)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(Commands)) + "\n")
	for _, s := range Statuses {
		fmt.Fprintf(&b, "| %s |", s)
		for _, answer := range commandTable[s] {
			fmt.Fprintf(&b, " %s |", answer)
		}
		b.WriteString("\n")
	}
	return b.String()
}
