//! Comments on one thing. Pure.

use super::api::{Caller, Comment, CommentRef};
use crate::{Error, ErrorKind, Result};

const OP: &str = "thing.comment";
const MOST_BYTES: usize = 4096;
const MOST_COMMENTS: usize = 1000;

/// Adds a comment; `id` and `ts` are new.
pub(super) fn add(comments: &mut Vec<Comment>, new: Comment) -> Result<()> {
    check(&new.comment)?;
    if new.pos.as_ref().is_some_and(|pos| pos.len() > MOST_BYTES) {
        return Err(Error::invalid(OP, "pos", "a place has at most 4096 bytes"));
    }
    if comments.len() >= MOST_COMMENTS {
        return Err(Error::invalid(OP, "comment", "a thing has at most 1000 comments: delete old ones"));
    }
    comments.push(new);
    Ok(())
}

/// Replaces the text of a comment of `by`; its time stays.
pub(super) fn edit(comments: &mut [Comment], which: &CommentRef, text: &str, by: &Caller) -> Result<Comment> {
    check(text)?;
    let at = find(comments, which, by)?;
    let comment = comments.get_mut(at).ok_or_else(unknown)?;
    comment.comment = text.into();
    Ok(comment.clone())
}

/// Removes a comment of `by`.
pub(super) fn delete(comments: &mut Vec<Comment>, which: &CommentRef, by: &Caller) -> Result<()> {
    let at = find(comments, which, by)?;
    comments.remove(at);
    Ok(())
}

/// Takes over the comments of another thing, in the order of their times; beyond the bound the oldest go.
pub(super) fn join(comments: &mut Vec<Comment>, others: &[Comment]) {
    comments.extend(others.iter().cloned());
    comments.sort_by_key(|comment| comment.ts);
    comments.drain(..comments.len().saturating_sub(MOST_COMMENTS));
}

pub(super) fn check(text: &str) -> Result<()> {
    if text.trim().is_empty() || text.len() > MOST_BYTES {
        return Err(Error::invalid(OP, "comment", "a comment has 1 to 4096 bytes"));
    }
    Ok(())
}

fn find(comments: &[Comment], which: &CommentRef, by: &Caller) -> Result<usize> {
    let same = |comment: &Comment| match (&which.id, which.ts) {
        (Some(id), _) => comment.id == *id,
        (None, Some(ts)) => comment.ts == ts,
        (None, None) => false,
    };
    if which.id.is_none() && which.ts.is_none() {
        return Err(Error::invalid(OP, "id", "name the comment by its id or its time"));
    }
    // Of several that were written at one time, one's own is meant.
    let own = comments.iter().position(|c| same(c) && c.user == by.user);
    let any = own.or_else(|| comments.iter().position(same));
    let at = any.ok_or_else(|| if comments.is_empty() { none() } else { unknown() })?;
    if own.is_none() {
        let text = "only who wrote a comment may change it";
        return Err(Error::new(ErrorKind::Forbidden, OP, text).code_as("ERR_COMMENT_ACCESS_DENIED"));
    }
    Ok(at)
}

fn unknown() -> Error {
    Error::new(ErrorKind::NotFound, OP, "there is no such comment").code_as("ERR_THING_COMMENT_NOTFOUND")
}

fn none() -> Error {
    Error::new(ErrorKind::NotFound, OP, "the thing has no comments").code_as("ERR_THING_COMMENTS_NOTFOUND")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(id: &str, user: &str, ts: i64) -> Comment {
        Comment { id: id.into(), ts, comment: "x".into(), user: user.into(), pos: None }
    }

    fn at(ts: i64) -> CommentRef {
        CommentRef { id: None, ts: Some(ts) }
    }

    #[test]
    fn only_the_writer_changes_a_comment() {
        let (ann, bob) = (Caller::new("ann"), Caller::new("bob"));
        let mut all = vec![comment("a", "ann", 1), comment("b", "bob", 1), comment("c", "ann", 2)];
        assert_eq!(edit(&mut all, &at(1), "new", &bob).unwrap().id, "b");
        let by_id = CommentRef { id: Some("a".into()), ts: Some(2) };
        assert_eq!(edit(&mut all, &by_id, "new", &bob).unwrap_err().code(), "ERR_COMMENT_ACCESS_DENIED");
        assert_eq!(delete(&mut all, &at(9), &ann).unwrap_err().code(), "ERR_THING_COMMENT_NOTFOUND");
        let nothing = delete(&mut Vec::new(), &at(9), &ann).unwrap_err();
        assert_eq!((nothing.kind(), nothing.code()), (ErrorKind::NotFound, "ERR_THING_COMMENTS_NOTFOUND"));
        assert_eq!(delete(&mut all, &CommentRef::default(), &ann).unwrap_err().fact("field"), Some("id"));
        delete(&mut all, &by_id, &ann).unwrap();
        assert_eq!(all.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(all[0].ts, 1);
    }

    #[test]
    fn comments_are_bounded() {
        let mut all = Vec::new();
        for _ in 0..MOST_COMMENTS {
            add(&mut all, comment("a", "ann", 1)).unwrap();
        }
        assert!(add(&mut all, comment("a", "ann", 1)).is_err());
        join(&mut all, &[comment("new", "bob", 2), comment("old", "bob", 0)]);
        assert_eq!((all.len(), all[0].id.as_str(), all[MOST_COMMENTS - 1].id.as_str()), (1000, "a", "new"));
        assert!(check(" ").is_err() && check(&"x".repeat(4097)).is_err());
    }
}
