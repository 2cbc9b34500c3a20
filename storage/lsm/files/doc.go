// Package files reads the files of a store one by one, without the engine that wrote
// them: tables, blob files, logs and the manifest, whole or damaged. Package lsm salvages
// a store by it, and finds out what a damaged store has lost.
//
// # What it reads
//
// Each table and each blob file is a row of blocks, and each block has a checksum. The
// index at the end of the file says where they are. Without it the blocks are found by
// their checksums, from the start of the file to the first one that can't be read. A log
// is a row of chunks with checksums; after an unreadable one reading goes on at the next
// that is whole. The manifest says which files belong to the store, and in which blob
// file the values of a table are.
//
// Nothing is returned that its checksum does not cover.
//
// # Without a manifest
//
// All files in the directory count. Rows that were deleted may come back, if a file that
// the store did not need any more was still there. Which blob file has the values of a
// table is found by the lengths of the values.
//
// # Memory
//
// About 100 octets for each row of mail and of the directory. Values stay on the disk,
// but for what is in the logs.
package files
