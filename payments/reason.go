package payments

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// bounds of what people write about money.
const (
	maxReason    = 1000
	maxReference = 200
)

// because refuses a reason that says nothing, in the words of ask, or too much. Error: Invalid.
func because(reason, ask string) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return invalid("reason_empty", "%s", ask)
	case !fit(reason, maxReason):
		return invalid("reason_unusable", "A reason is one line of at most %d characters.", maxReason)
	}
	return nil
}

// referring refuses a reference that is too long; whether one is needed is for the caller to say. Error: Invalid.
func referring(reference string) error {
	if !fit(reference, maxReference) {
		return invalid("reference_unusable", "A reference is one line of at most %d characters.", maxReference)
	}
	return nil
}

// fit says whether a text is one line that people can read, of at most so many characters: a control character could make it look
// like another text where it is shown.
func fit(text string, most int) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= most && !strings.ContainsFunc(text, unicode.IsControl)
}
