// Package checks counts what a client of the registry saw, and holds the schemas that all of them use.
package checks

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
)

const (
	// Door is what values are written with.
	Door = `{"type": "record", "name": "Door", "namespace": "site", "doc": "A door.", "fields": [
  {"name": "nr", "type": "int"},
  {"name": "open", "type": ["null", "boolean"], "default": null},
  {"name": "seen", "type": {"type": "map", "values": "string"}, "default": {}}]}`
	// Narrower cannot read what was written with Door.
	Narrower = `{"type": "record", "name": "Door", "namespace": "site", "fields": [{"name": "nr", "type": "string"}]}`
	// House refers to Door.
	House = `{"type": "record", "name": "House", "fields": [{"name": "door", "type": "site.Door"}]}`
	// JSONDoor says of a JSON object what Door says of a record.
	JSONDoor = `{"$schema": "http://json-schema.org/draft-07/schema#", "title": "Door", "type": "object",
  "properties": {"nr": {"type": "integer"}}, "required": ["nr"]}`
	// ProtobufDoor has a message of that name.
	ProtobufDoor = "syntax = \"proto3\";\npackage site;\n\nmessage Door {\n  int32 nr = 1;\n}\n"
)

var done int

// Check ends the program where something is not as it should be.
func Check(what string, holds bool) {
	if !holds {
		fail(what)
	}
	done++
}

// Equal compares.
func Equal[T any](what string, found, wanted T) {
	if text, other := fmt.Sprint(found), fmt.Sprint(wanted); text != other {
		fail(fmt.Sprintf("%s: %.300s instead of %.300s", what, text, other))
	}
	done++
}

// Must hands on what came with no error.
func Must[T any](value T, err error) T {
	Succeeds(err)
	return value
}

// Succeeds ends the program where something failed that should not.
func Succeeds(err error) {
	if err != nil {
		fail(err.Error())
	}
}

// Sorted is a copy in order.
func Sorted(values []int) []int {
	values = slices.Clone(values)
	slices.Sort(values)
	return values
}

// Arguments are the registry's address and a name that nobody else has.
func Arguments() (url, name string) {
	if len(os.Args) != 2 {
		fail("usage: PROGRAM URL")
	}
	bytes := make([]byte, 4)
	_ = Must(rand.Read(bytes))
	return os.Args[1], "clients-" + hex.EncodeToString(bytes)
}

// Passed says which module passed, in the version that the program was built with.
func Passed(module string) {
	version := "of an unknown version"
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range build.Deps {
			if dependency.Path == module {
				version = dependency.Version
			}
		}
	}
	fmt.Printf("%s %s: %d checks passed\n", module, version, done)
}

func fail(what string) {
	fmt.Fprintln(os.Stderr, "failed:", what)
	os.Exit(1)
}
