package widgets

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxRequest bounds a request's body.
const maxRequest = 64 << 10

// errMediaType is a body that says that it is something else than JSON.
var errMediaType = errors.New("widgets: the body is said not to be JSON")

// saysJSON says whether a Content-Type may stand before JSON. Many clients name none, or a form's, unless they are told to.
func saysJSON(header string) bool {
	kind, _, err := mime.ParseMediaType(header)
	return header == "" || err == nil && (kind == "application/json" || kind == "application/x-www-form-urlencoded")
}

// decode reads a JSON body strictly, so that nobody else can read it otherwise: what is not UTF-8, unknown members, members that
// are there twice or in other letters, trailing data and oversized bodies are refused. It returns the body as it came.
func decode(c *gin.Context, into any) ([]byte, error) {
	raw, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxRequest))
	if err != nil {
		return nil, &bad{"body_too_large", "The body cannot be read or is larger than 64 KiB."}
	}
	if len(raw) > 0 && !saysJSON(c.GetHeader("Content-Type")) {
		return nil, errMediaType
	}
	if err := read(raw, into); err != nil {
		return nil, err
	}
	return raw, nil
}

// read is decode of what was received.
func read(raw []byte, into any) error {
	if holdsNUL(raw) {
		return &bad{"body_unreadable", "A text in the body holds a zero character, which no text may."}
	}
	if err := json.Unmarshal(raw, into, json.RejectUnknownMembers(true)); err != nil {
		return &bad{"body_unreadable", "The body is not the JSON that is expected here: " + plain(err)}
	}
	return nil
}

// holdsNUL says whether a JSON text has the escape of a zero character, which the database cannot keep.
func holdsNUL(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		if bytes.HasPrefix(raw[i:], []byte(`\u0000`)) {
			return true
		}
		i++ // what is escaped is not the beginning of another escape
	}
	return false
}

// plain keeps what helps the caller and drops Go's words.
func plain(err error) string {
	var syntax *jsontext.SyntacticError
	var meaning *json.SemanticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "a member is there twice."
	case errors.Is(err, json.ErrUnknownName):
		return "a member is unknown."
	case errors.As(err, &syntax):
		return "it breaks at byte " + strconv.FormatInt(syntax.ByteOffset, 10) + "."
	case errors.As(err, &meaning) && meaning.JSONPointer != "" && len(meaning.JSONPointer) <= 100:
		return "the value at " + string(meaning.JSONPointer) + " is not usable."
	}
	return "a value is not usable."
}
