package amotest

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// problem is an application/problem+json body as both products send it ("HTTP status codes").
func problem(status int, detail string) map[string]any {
	return map[string]any{"title": http.StatusText(status), "type": fmt.Sprint("https://httpstatus.es/", status),
		"status": status, "detail": detail}
}

func writeProblem(w http.ResponseWriter, p map[string]any) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p["status"].(int))
	_ = json.NewEncoder(w).Encode(p)
}

func notFound(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, problem(http.StatusNotFound, fmt.Sprintf("Cannot %s https://%s%s", r.Method, r.Host, r.URL.Path)))
}

// fault is one reason why an element of a batch was refused.
type fault struct {
	Code   string `json:"code"`
	Path   string `json:"path"`
	Detail string `json:"detail"`
}

// The codes of faults that the documentation shows, with their texts.
var faultTexts = map[string]string{
	"NotSupportedChoice": "The value you selected is not a valid choice.",
	"FieldMissing":       "This field is missing.",
	"NotExpected":        "This field was not expected.",
	"NotUnique":          "This value is already used.",
	"TooLow":             "This value should be positive.",
}

func refusal(code, path string) fault { return fault{code, path, faultTexts[code]} }

func wrongType(path, want string) fault {
	return fault{"InvalidType", path, "This value should be of type " + want + "."}
}
